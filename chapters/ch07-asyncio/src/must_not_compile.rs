//! What the compiler refuses on an executor with several threads. Only `cargo test --doc` reads it.

/// A task that a second thread may poll must be `Send` at every `.await`. The guard of a
/// `std::sync::Mutex` is not: it must be let go by the thread that took it.
///
/// ```compile_fail
/// async fn wrong(mutex: std::sync::Arc<std::sync::Mutex<u32>>) {
///     let mut guard = mutex.lock().expect("nobody panics while holding it");
///     tokio::task::yield_now().await;
///     *guard += 1;
/// }
/// tokio::spawn(wrong(Default::default()));
/// ```
///
/// The same lines compile where the guard does not live across the `.await`:
///
/// ```no_run
/// async fn right(mutex: std::sync::Arc<std::sync::Mutex<u32>>) {
///     tokio::task::yield_now().await;
///     let mut guard = mutex.lock().expect("nobody panics while holding it");
///     *guard += 1;
/// }
/// tokio::spawn(right(Default::default()));
/// ```
mod a_guard_across_an_await {}
