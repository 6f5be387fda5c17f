//! The lines that the programs print, read back. Strict: a line that is nearly right is
//! [`Wire::Other`], so that a probe which waits for an answer does not accept a mistake in its
//! form.

/// One line of a program's standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire<'a> {
    /// `1700000000 - Hello world!`
    Hello,
    /// `fib(30) = 832040 (took 0.004 s)`
    Answer {
        /// The number that was asked.
        n: u32,
        /// The answer as printed, right or wrong.
        value: u64,
    },
    /// `error: ` and this.
    Error(&'a str),
    /// Anything else.
    Other(&'a str),
}

impl<'a> Wire<'a> {
    /// Reads a line, without its newline.
    pub fn read(line: &'a str) -> Wire<'a> {
        if let Some(message) = line.strip_prefix("error: ") {
            return Wire::Error(message);
        }
        if hello_seconds(line).is_some() {
            return Wire::Hello;
        }
        match answer(line) {
            Some((n, value)) => Wire::Answer { n, value },
            None => Wire::Other(line),
        }
    }
}

/// The unix seconds of a hello line, as they stand there.
fn hello_seconds(line: &str) -> Option<&str> {
    line.strip_suffix(" - Hello world!").filter(|seconds| is_digits(seconds))
}

fn answer(line: &str) -> Option<(u32, u64)> {
    let (n, rest) = line.strip_prefix("fib(")?.split_once(") = ")?;
    let (value, took) = rest.split_once(' ')?;
    took_is_well_formed(took).then_some(())?;
    Some((n.parse().ok()?, value.parse().ok()?))
}

/// `(took 0.004 s)`: whole seconds and three digits, so that columns of answers can be compared by
/// eye.
fn took_is_well_formed(took: &str) -> bool {
    let seconds = took.strip_prefix("(took ").and_then(|rest| rest.strip_suffix(" s)"));
    let parts = seconds.and_then(|seconds| seconds.split_once('.'));
    parts.is_some_and(|(whole, fraction)| {
        is_digits(whole) && is_digits(fraction) && fraction.len() == 3
    })
}

pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// fib(n) by counting up: slow thinking, quick machine. It is the oracle that the programs' answers
/// are compared with.
///
/// # Panics
///
/// Above n = 93, whose answer is the last that fits 64 bits.
pub fn right_answer(n: u32) -> u64 {
    assert!(n <= 93, "fib({n}) does not fit 64 bits");
    let (mut this, mut next) = (0_u64, 1_u64);
    for _ in 0..n {
        // Only fib(94) wraps, which is computed for n = 93 and not returned.
        (this, next) = (next, this.wrapping_add(next));
    }
    this
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_of_line_are_read() {
        assert_eq!(Wire::read("1700000000 - Hello world!"), Wire::Hello);
        assert_eq!(
            Wire::read("fib(30) = 832040 (took 0.004 s)"),
            Wire::Answer { n: 30, value: 832_040 }
        );
        assert_eq!(Wire::read("error: no"), Wire::Error("no"));
    }

    #[test]
    fn what_is_nearly_right_is_something_else() {
        for line in [
            " - Hello world!",
            "17 - Hello world",
            "1700000000 - Hello world!fib(1) = 1 (took 0.000 s)",
            "fib(30) = 832040",
            "fib(30) = 832040 (took 0.4 s)",
            "fib(30) = 832040 (took 4 ms)",
            "fib(x) = 832040 (took 0.004 s)",
        ] {
            assert_eq!(Wire::read(line), Wire::Other(line));
        }
    }

    #[test]
    fn the_oracle_knows_both_ends_of_the_range() {
        assert_eq!([0, 1, 2, 3, 10].map(right_answer), [0, 1, 1, 2, 55]);
        assert_eq!(right_answer(93), 12_200_160_415_121_876_738);
    }
}
