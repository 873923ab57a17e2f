//! Deadlines, kept and disarmed, under one runtime and several.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{LISTS, Timer};

async fn wait(span: Duration) -> Duration {
    let began = Instant::now();
    let mut timer = Timer::after(span);
    poll_fn(|cx| timer.poll(cx)).await;
    began.elapsed()
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Entries in use on this thread.
fn armed() -> usize {
    LISTS.with_borrow(|lists| {
        let state = lists.0[0].lock();
        let free = |it: &&super::Entry| !matches!(it, super::Entry::Free { .. });
        state.entries.iter().filter(free).count()
    })
}

#[tokio::test(start_paused = true)]
async fn deadlines_are_kept_whatever_their_order() {
    let spans = [30, 10, 20, 10, 40, 1, 35];
    let waits = futures::future::join_all(spans.map(|it| wait(ms(it)))).await;
    assert_eq!(waits, spans.map(ms));
    assert_eq!(armed(), 0);
    // Later ones, after the task has slept without a deadline.
    assert_eq!(wait(ms(5)).await, ms(5));
}

#[tokio::test(start_paused = true)]
async fn an_earlier_deadline_is_heeded_while_the_task_sleeps() {
    let late = tokio::spawn(wait(ms(1000)));
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert_eq!(wait(ms(3)).await, ms(3));
    assert_eq!(late.await.expect("it ends"), ms(1000));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_timer_wakes_nobody_and_frees_its_entry() {
    for _ in 0..1000 {
        let mut timer = Timer::after(ms(10));
        assert!(
            poll_fn(|cx| std::task::Poll::Ready(timer.poll(cx)))
                .await
                .is_pending()
        );
        assert_eq!(armed(), 1);
    }
    assert_eq!(armed(), 0);
    let entries = LISTS.with_borrow(|it| it.0[0].lock().entries.len());
    assert_eq!(entries, 1);
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_moves_to_another_task_wakes_that_one() {
    let mut timer = Timer::after(ms(10));
    assert!(
        poll_fn(|cx| std::task::Poll::Ready(timer.poll(cx)))
            .await
            .is_pending()
    );
    let moved = tokio::spawn(async move { poll_fn(|cx| timer.poll(cx)).await });
    moved.await.expect("it is woken");
}

#[test]
fn each_runtime_has_its_own_and_takes_it_along() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime")
    };
    let (first, second) = (runtime(), runtime());
    // The same thread drives now one, now the other.
    for _ in 0..3 {
        assert_eq!(first.block_on(wait(ms(7))), ms(7));
        assert_eq!(second.block_on(wait(ms(9))), ms(9));
    }
    assert_eq!(LISTS.with_borrow(|it| it.0.len()), 2);
    let mut timer = Timer::after(ms(10));
    first.block_on(async {
        assert!(
            poll_fn(|cx| std::task::Poll::Ready(timer.poll(cx)))
                .await
                .is_pending()
        );
    });
    drop(first);
    // Its runtime is gone: it goes on under the one it is polled in.
    let came = Arc::new(AtomicBool::new(false));
    second.block_on(async {
        poll_fn(|cx| timer.poll(cx)).await;
        came.store(true, Ordering::Relaxed);
    });
    assert!(came.load(Ordering::Relaxed));
}

#[test]
fn many_threads_of_one_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let waits: Vec<_> = (0..200).map(|n| tokio::spawn(wait(ms(n % 7)))).collect();
        for (n, it) in waits.into_iter().enumerate() {
            assert!(it.await.expect("it ends") >= ms(n as u64 % 7));
        }
    });
}

/// A thread that has ended keeps nothing in the runtime it waited under, and takes no timer along.
#[test]
fn a_thread_that_ends_leaves_no_task_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime");
    for _ in 0..10 {
        let handle = runtime.handle().clone();
        let armed = std::thread::spawn(move || {
            handle.block_on(async {
                let mut timer = Timer::after(ms(1));
                let polled = poll_fn(|cx| std::task::Poll::Ready(timer.poll(cx))).await;
                assert!(polled.is_pending());
                timer
            })
        });
        let mut timer = armed.join().expect("no panic");
        runtime.block_on(poll_fn(|cx| timer.poll(cx)));
    }
    // That of the thread of this test, which is still there.
    let mut looks = 0;
    while runtime.metrics().num_alive_tasks() > 1 {
        looks += 1;
        assert!(looks < 1_000_000, "tasks are left");
        std::thread::yield_now();
    }
}
