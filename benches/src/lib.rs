//! Benchmarks: `cargo bench -p benches`.
//!
//! This package depends on whatever is measured, with all its features, so that `cargo test
//! --workspace` also builds what stands behind a feature. It has no code of its own.

#![forbid(unsafe_code)]
