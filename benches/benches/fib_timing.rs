//! What the shared parts cost: the CPU work, whose growth the text states, and the cutting of
//! lines, which must stay small beside it.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fib_timing::{Lines, fib};

/// Adding 1 to n multiplies the time by 1.618: compare one row with the next.
fn fib_grows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fib");
    for n in 20..=25 {
        group.bench_with_input(BenchmarkId::from_parameter(n), &n, |bencher, n| {
            bencher.iter(|| fib(black_box(*n)));
        });
    }
    group.finish();
}

/// Pasted lines, in chunks of the size in which they are read.
fn lines_are_cut(criterion: &mut Criterion) {
    let chunk = "30\n".repeat(1365);
    let mut group = criterion.benchmark_group("lines");
    group.throughput(Throughput::Bytes(chunk.len() as u64));
    group.bench_function("pasted", |bencher| {
        let mut lines = Lines::new();
        bencher.iter(|| {
            lines.push(black_box(chunk.as_bytes()));
            lines.by_ref().count()
        });
    });
    group.finish();
}

criterion_group!(benches, fib_grows, lines_are_cut);
criterion_main!(benches);
