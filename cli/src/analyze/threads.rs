//! Work on all processors.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// As many threads do something.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does something with each of some things on as many threads as there are processors; the results are in the order
/// of the things. Each thread takes the next one when it is done: they may differ much in what they take.
pub fn share<Thing: Send, Done: Send>(
    things: Vec<Thing>,
    work: impl Fn(Thing) -> Done + Sync,
) -> Vec<Done> {
    let count = things.len();
    let next = Mutex::new(things.into_iter().enumerate());
    let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
    let on_a_thread = || {
        let mut done = Vec::new();
        while let Some((place, thing)) = take() {
            done.push((place, work(thing)));
        }
        done
    };
    let mut done: Vec<(usize, Done)> = thread::scope(|scope| {
        let others: Vec<_> = (1..processors().min(count))
            .map(|_| scope.spawn(on_a_thread))
            .collect();
        let mut all = on_a_thread();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, done)| done).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_things() {
        let squares = share((0..1000_u64).collect(), |number| number * number);
        assert_eq!(
            squares,
            (0..1000)
                .map(|number| number * number)
                .collect::<Vec<u64>>()
        );
        assert!(share(Vec::<u64>::new(), |number| number).is_empty());
    }
}
