//! Request and answer over turmoil's simulated TCP: a task a connection at the servers, a client host each.

use crate::watch::on_processor;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};

/// This thread's time on its processor; turmoil runs everything on one thread.
fn now() -> Duration {
    on_processor().unwrap_or_default()
}

async fn serve() -> turmoil::Result {
    let listener = TcpListener::bind("0.0.0.0:9000").await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut frame = [0u8; 16];
            while stream.read_exact(&mut frame).await.is_ok() {
                if stream.write_all(&frame).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn ask(servers: u16, requests: u32, open: Arc<Mutex<Duration>>) -> turmoil::Result {
    let mut streams = Vec::new();
    for server in 0..servers {
        streams.push(TcpStream::connect((format!("server-{server}"), 9000)).await?);
    }
    if let Ok(mut open) = open.lock() {
        *open = now();
    }
    for n in 0..requests {
        let stream = &mut streams[n as usize % servers as usize];
        let mut frame = [0u8; 16];
        frame[..4].copy_from_slice(&n.to_le_bytes());
        stream.write_all(&frame).await?;
        let mut answer = [0u8; 16];
        stream.read_exact(&mut answer).await?;
        assert_eq!(answer, frame);
    }
    Ok(())
}

/// How long the requests took, from the moment at which the last client had opened its connections.
pub(crate) fn run(servers: u16, clients: u16, requests: u32) -> Duration {
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(1)
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(2))
        // The default of 64 is less than what a hundred clients open at once.
        .tcp_capacity(1024)
        .simulation_duration(Duration::from_secs(3600));
    let mut sim = builder.build();
    let open = Arc::new(Mutex::new(now()));
    for server in 0..servers {
        sim.host(format!("server-{server}"), serve);
    }
    for client in 0..clients {
        sim.client(format!("client-{client}"), ask(servers, requests, open.clone()));
    }
    if let Err(error) = sim.run() {
        panic!("{error}");
    }
    open.lock().map_or(Duration::ZERO, |open| now() - *open)
}
