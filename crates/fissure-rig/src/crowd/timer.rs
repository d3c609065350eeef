//! Alarms accurate to the kernel's high-resolution timer.
//!
//! tokio's wheel counts in milliseconds, which would show as latency that the app does not have (wrk2's median is wrong
//! by seven times for this reason). One timerfd with a heap of deadlines wakes within some ten microseconds and burns
//! nothing while it waits.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::timerfd::Timerfd;
pub use crate::timerfd::monotonic_ns;

const NEVER: u64 = u64::MAX;

/// All alarms of this process.
#[derive(Debug)]
pub(super) struct Timers {
    timer: Timerfd,
    /// What the timerfd is set to.
    armed_ns: Cell<u64>,
    queue: RefCell<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// (deadline, slot, generation of the slot). Entries of alarms that were dropped or put off are skipped when their
    /// time comes, which is cheaper than finding them.
    heap: BinaryHeap<Reverse<(u64, u32, u32)>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    wanted_ns: u64,
    /// The deadline of this slot's entry in the heap, which is never later than the wanted one.
    queued_ns: u64,
    waker: Option<Waker>,
}

impl Timers {
    /// Must be called inside the runtime.
    pub(super) fn new() -> io::Result<Rc<Self>> {
        Ok(Rc::new(Self { timer: Timerfd::new()?, armed_ns: Cell::new(NEVER), queue: RefCell::default() }))
    }

    pub(super) fn alarm(self: &Rc<Self>) -> Alarm {
        let queue = &mut *self.queue.borrow_mut();
        let slot = queue.free.pop().unwrap_or_else(|| {
            queue.slots.push(Slot { generation: 0, wanted_ns: NEVER, queued_ns: NEVER, waker: None });
            queue.slots.len() as u32 - 1
        });
        Alarm { timers: Rc::clone(self), slot }
    }

    /// Wakes whoever is due, for as long as the process lives.
    pub(super) async fn run(&self) -> io::Result<()> {
        loop {
            self.timer.rings().await?;
            self.armed_ns.set(NEVER);
            let next_ns = self.queue.borrow_mut().wake_due();
            self.arm(next_ns);
        }
    }

    fn arm(&self, at_ns: u64) {
        if at_ns >= self.armed_ns.get() {
            return;
        }
        self.armed_ns.set(at_ns);
        self.timer.set(at_ns);
    }
}

impl Queue {
    /// Wakes every alarm whose time has come and says when the next one is.
    fn wake_due(&mut self) -> u64 {
        let now_ns = monotonic_ns();
        while let Some(&Reverse((at_ns, index, generation))) = self.heap.peek() {
            let slot = &mut self.slots[index as usize];
            let is_current = generation == slot.generation && at_ns == slot.queued_ns;
            if is_current && at_ns > now_ns {
                return at_ns;
            }
            self.heap.pop();
            if !is_current {
                continue;
            }
            slot.queued_ns = NEVER;
            if slot.wanted_ns <= now_ns {
                slot.wanted_ns = NEVER;
                if let Some(waker) = slot.waker.take() {
                    waker.wake();
                }
            } else if slot.wanted_ns != NEVER {
                slot.queued_ns = slot.wanted_ns; // it was put off since
                self.heap.push(Reverse((slot.wanted_ns, index, generation)));
            }
        }
        NEVER
    }
}

/// One thing to wait for at a time. Putting an alarm off costs nothing, so it serves as a time limit that is set anew
/// for every request.
#[derive(Debug)]
pub(super) struct Alarm {
    timers: Rc<Timers>,
    slot: u32,
}

impl Alarm {
    /// Ready when `at_ns` has come; otherwise the task is woken then.
    pub(super) fn poll(&self, at_ns: u64, cx: &mut Context<'_>) -> Poll<()> {
        let queue = &mut *self.timers.queue.borrow_mut();
        let slot = &mut queue.slots[self.slot as usize];
        if monotonic_ns() >= at_ns {
            slot.wanted_ns = NEVER;
            return Poll::Ready(());
        }
        if !slot.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            slot.waker = Some(cx.waker().clone());
        }
        slot.wanted_ns = at_ns;
        if at_ns < slot.queued_ns {
            slot.queued_ns = at_ns;
            queue.heap.push(Reverse((at_ns, self.slot, slot.generation)));
            self.timers.arm(at_ns);
        }
        Poll::Pending
    }

    pub(super) async fn until(&self, at_ns: u64) {
        poll_fn(|cx| self.poll(at_ns, cx)).await;
    }

    /// The answer of `work`, or None when `at_ns` came first.
    pub(super) async fn limit<F: Future>(&self, at_ns: u64, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => self.poll(at_ns, cx).map(|()| None),
        })
        .await
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let queue = &mut *self.timers.queue.borrow_mut();
        let slot = &mut queue.slots[self.slot as usize];
        let generation = slot.generation.wrapping_add(1);
        *slot = Slot { generation, wanted_ns: NEVER, queued_ns: NEVER, waker: None };
        queue.free.push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far enough away that a stalled machine has not passed it before the first poll.
    const OLD_NS: u64 = 500_000_000;
    const NEW_NS: u64 = 700_000_000;

    /// Polls once, which sets the alarm, and gives up.
    async fn is_pending<F: Future>(work: F) -> bool {
        let mut work = pin!(work);
        poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx).is_pending())).await
    }

    fn inside<F: Future>(work: impl FnOnce(Rc<Timers>) -> F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(Default::default())
            .unwrap();
        runtime.block_on(async {
            let timers = Timers::new().unwrap();
            let running = Rc::clone(&timers);
            tokio::task::spawn_local(async move { running.run().await });
            work(timers).await
        })
    }

    #[test]
    fn alarms_ring_in_the_order_of_their_deadlines_and_never_early() {
        inside(|timers| async move {
            let start = monotonic_ns();
            let order = Rc::new(RefCell::new(Vec::new()));
            let tasks: Vec<_> = [5u64, 1, 9, 3, 7]
                .into_iter()
                .map(|ms| {
                    let (alarm, order) = (timers.alarm(), Rc::clone(&order));
                    tokio::task::spawn_local(async move {
                        let at_ns = start + ms * 4_000_000;
                        alarm.until(at_ns).await;
                        assert!(monotonic_ns() >= at_ns);
                        order.borrow_mut().push(ms);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(*order.borrow(), [1, 3, 5, 7, 9]);
        });
    }

    #[test]
    fn a_limit_that_is_put_off_does_not_fire_at_its_old_time() {
        inside(|timers| async move {
            let alarm = timers.alarm();
            let start = monotonic_ns();
            assert_eq!(alarm.limit(start + OLD_NS, std::future::ready(1)).await, Some(1));
            assert!(is_pending(alarm.limit(start + OLD_NS, std::future::pending::<()>())).await);
            assert_eq!(alarm.limit(start + NEW_NS, std::future::pending::<()>()).await, None);
            assert!(monotonic_ns() >= start + NEW_NS);
        });
    }

    #[test]
    fn a_slot_used_again_is_not_woken_by_the_alarm_before_it() {
        inside(|timers| async move {
            let start = monotonic_ns();
            let old = timers.alarm();
            assert!(is_pending(old.until(start + OLD_NS)).await);
            drop(old);
            let new = timers.alarm();
            new.until(start + NEW_NS).await;
            assert!(monotonic_ns() >= start + NEW_NS);
            assert_eq!(timers.queue.borrow().slots.len(), 1);
        });
    }
}
