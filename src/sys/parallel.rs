//! Work on several threads. A thread that cannot be started (a limit on processes or on memory) is
//! not an error: the calling thread does its share of the work.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use crate::model::error::Error;

/// Returns the error for a required thread that cannot be started.
pub fn not_started(error: std::io::Error) -> Error {
    Error::build("cannot start a thread")
        .because(error)
        .hint("raise the limits on processes and memory: `ulimit -u`, `ulimit -v`")
}

/// Returns the results of `work` for every number below `count`, in order, from at most `threads`
/// threads.
pub fn map_on<T: Send>(threads: usize, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let results = Mutex::new((0..count).map(|_| None).collect::<Vec<Option<T>>>());
    run_on(threads, count, &|index| {
        let result = work(index);
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = results.get_mut(index) {
            *slot = Some(result);
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().flatten().collect()
}

/// Calls `work` with every number below `count`; one function for every kind of result, which is compiled
/// once.
fn run_on(threads: usize, count: usize, work: &(dyn Fn(usize) + Sync)) {
    let next = AtomicUsize::new(0);
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            work(index);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            if std::thread::Builder::new().spawn_scoped(scope, worker).is_err() {
                break;
            }
        }
        worker();
    });
}

/// Does as [`map_on`], with as many threads as there are processors: for work that computes.
pub fn map<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    map_on(threads, count, work)
}

/// Returns the results of `first` and `second`, which run at the same time if a thread can be started.
pub fn join<A: Send, B>(first: impl Fn() -> A + Sync, second: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, &first);
        let second = second();
        let first = match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => first(),
        };
        (first, second)
    })
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads that compute while their user prepares the next jobs.
pub struct Workers {
    jobs: Option<mpsc::Sender<Job>>,
    /// Set when no caller waits for the remaining jobs.
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts as many threads as there are processors, but at most `most`.
    pub fn start(most: usize) -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(most);
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let stop = Arc::new(AtomicBool::new(false));
        let next = |queue: &Mutex<mpsc::Receiver<Job>>| {
            queue.lock().unwrap_or_else(PoisonError::into_inner).recv()
        };
        let mut threads = Vec::new();
        for _ in 0..count {
            let (queue, stop) = (Arc::clone(&queue), Arc::clone(&stop));
            let work = move || {
                while let Ok(job) = next(&queue) {
                    if !stop.load(Ordering::Relaxed) {
                        job();
                    }
                }
            };
            match std::thread::Builder::new().spawn(work) {
                Ok(thread) => threads.push(thread),
                Err(_) => break,
            }
        }
        Workers { jobs: Some(jobs), stop, threads }
    }

    /// Begins `work`, and returns the receiver of its result, which ends without one if `work` panics. Without
    /// threads, the calling one does the work.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> mpsc::Receiver<T> {
        let (done, result) = mpsc::sync_channel(1);
        // The result of a caller that has failed meanwhile is not needed.
        let job: Job = Box::new(move || drop(done.send(work())));
        // Without threads it comes back.
        if let Some(jobs) = &self.jobs
            && let Err(mpsc::SendError(job)) = jobs.send(job)
        {
            job();
        }
        result
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.jobs.take());
        for thread in self.threads.drain(..) {
            // A job that panicked has no result, which its caller reports.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workers").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order() {
        for threads in [0, 1, 3, 50] {
            let squares = map_on(threads, 10, |n| n * n);
            assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
        }
        assert!(map_on(4, 0, |n| n).is_empty());
        assert_eq!(join(|| 1, || "two"), (1, "two"));
    }

    #[test]
    fn workers_return_each_result_to_its_caller() {
        for most in [0, 1, 3] {
            let workers = Workers::start(most);
            let waiting: Vec<_> = (0..20).map(|n| workers.run(move || n * n)).collect();
            for (n, result) in (0..).zip(waiting) {
                assert_eq!(result.recv(), Ok(n * n));
            }
            // Not all results are needed.
            drop(workers.run(|| 1));
        }
    }
}
