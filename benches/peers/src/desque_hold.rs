//! The hold model in desque: an event that schedules the next one, as its users write them.

use crate::hold::{Delays, Shape, fold, node};
use desque::SimState;
use desque::serial::{OkEvent, Simulation};

struct State {
    delays: Delays,
    seq: u64,
    checksum: u64,
    left: u64,
}

impl SimState<u64> for State {
    fn is_complete(&self, _: &u64) -> bool {
        self.left == 0
    }
}

#[derive(Debug)]
struct Turn {
    seq: u64,
    node: u32,
}

impl OkEvent<State, u64> for Turn {
    fn execute(&mut self, simulation: &mut Simulation<State, u64>) {
        let now = *simulation.current_time();
        let state = simulation.state_mut();
        state.checksum = fold(state.checksum, now, self.seq, self.node);
        state.left -= 1;
        let (delay, seq) = (state.delays.draw(), state.seq);
        state.seq += 1;
        if let Err(error) = simulation.schedule_with_delay(Turn { seq, node: node(seq) }, delay) {
            panic!("{error:?}");
        }
    }
}

pub(crate) struct Hold(Simulation<State, u64>);

impl Hold {
    pub(crate) fn new(shape: Shape, pending: usize) -> Self {
        let state = State { delays: Delays::new(shape, pending), seq: pending as u64, checksum: 0, left: 0 };
        let mut simulation = Simulation::new(state, 0);
        for seq in 0..pending as u64 {
            let delay = simulation.state_mut().delays.draw();
            if let Err(error) = simulation.schedule(Turn { seq, node: node(seq) }, delay) {
                panic!("{error:?}");
            }
        }
        Hold(simulation)
    }

    pub(crate) fn turns(&mut self, n: u64) {
        self.0.state_mut().left = n;
        if let Err(error) = self.0.run() {
            panic!("{error:?}");
        }
    }

    pub(crate) fn checksum(&self) -> u64 {
        self.0.state().checksum
    }
}
