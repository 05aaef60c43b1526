//! Request and answer over madsim's simulated TCP: a task a connection at the servers, a task a client.

use crate::watch::timed;
use madsim::net::{TcpListener, TcpStream};
use madsim::runtime::Runtime;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Barrier;

fn address(server: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, server as u8 + 1], 9000))
}

async fn serve(server: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind(address(server)).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        madsim::task::spawn(async move {
            let mut frame = [0u8; 16];
            while stream.read_exact(&mut frame).await.is_ok() {
                if stream.write_all(&frame).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn ask(servers: u16, requests: u32, open: Arc<Barrier>) -> std::io::Result<()> {
    let mut streams = Vec::new();
    for server in 0..servers {
        streams.push(TcpStream::connect(address(server)).await?);
    }
    open.wait().await;
    for n in 0..requests {
        let stream = &mut streams[n as usize % servers as usize];
        let mut frame = [0u8; 16];
        frame[..4].copy_from_slice(&n.to_le_bytes());
        stream.write_all(&frame).await?;
        stream.flush().await?;
        let mut answer = [0u8; 16];
        stream.read_exact(&mut answer).await?;
        assert_eq!(answer, frame);
    }
    Ok(())
}

/// How long the requests took, once all connections were open.
pub(crate) fn run(servers: u16, clients: u16, requests: u32) -> Duration {
    let mut config = madsim::Config::default();
    config.net.send_latency = Duration::from_millis(1)..Duration::from_millis(2);
    let runtime = Runtime::with_seed_and_config(1, config);
    for server in 0..servers {
        let node = runtime.create_node().ip(address(server).ip()).build();
        drop(node.spawn(serve(server)));
    }
    let open = Arc::new(Barrier::new(clients as usize + 1));
    // Inside, the clock is the simulated one: the wall is read between two entries, when all connections are open.
    let tasks: Vec<_> = runtime.block_on(async {
        madsim::time::sleep(Duration::from_millis(100)).await;
        let client = |client: u16| {
            let ip = std::net::IpAddr::from([10, 0, 2, client as u8 + 1]);
            madsim::runtime::Handle::current().create_node().ip(ip).build().spawn(ask(servers, requests, open.clone()))
        };
        let tasks = (0..clients).map(client).collect();
        open.wait().await;
        tasks
    });
    let requests = async {
        for task in tasks {
            match task.await {
                Ok(Ok(())) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    timed(|| runtime.block_on(requests)).1
}
