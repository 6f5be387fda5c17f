//! A transcript, read from its text.

use std::path::Path;

use rustix::process::Signal;

use super::Mismatch;

/// A dialogue as its file tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// The lines before the command, as they stand.
    pub comments: Vec<String>,
    /// What is run.
    pub command: Command,
    /// What happens, in order. Where the file has no status there is one here: 0.
    pub steps: Vec<Text>,
}

/// One line of the dialogue and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Counted from 1.
    pub line: usize,
    /// What it says.
    pub step: Step,
}

/// What one line of the dialogue asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A line that is typed.
    Type(String),
    /// The end of the input.
    EndInput,
    /// A signal, by its name and as the system knows it.
    Signal(&'static str, Signal),
    /// A line on standard output.
    Out(String),
    /// A line on standard error.
    Err(String),
    /// The exit status.
    Status(i32),
}

/// The command line of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// As it stands after `$ `.
    pub typed: String,
    /// The text of `printf 'TEXT' |`, if there is one.
    pub fed: Option<String>,
    /// The package after `-p`.
    pub package: String,
    /// The name after `--example`.
    pub example: Option<String>,
    /// The names after `--features`.
    pub features: Vec<String>,
    /// The program's own arguments.
    pub args: Vec<String>,
    /// The number of `| head -N`.
    pub head: Option<usize>,
}

impl Command {
    /// The name of the built program.
    pub fn program(&self) -> &str {
        self.example.as_deref().unwrap_or(&self.package)
    }
}

impl Transcript {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// A [`Mismatch`] that says what was expected there, when the file cannot be read or a line has
    /// no meaning.
    pub fn read(file: &Path) -> Result<Transcript, Mismatch> {
        let problem = |line, expected: &str, seen: String| Mismatch {
            file: file.to_owned(),
            line,
            expected: expected.to_owned(),
            seen,
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| problem(0, "a transcript", error.to_string()))?;
        parse(&text).map_err(|Bad { line, expected }| {
            let seen = text.lines().nth(line - 1).unwrap_or("the end of the file").to_owned();
            problem(line, expected, seen)
        })
    }
}

/// A line that has no meaning, and what would have had one there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bad {
    line: usize,
    expected: &'static str,
}

pub(super) fn parse(text: &str) -> Result<Transcript, Bad> {
    let mut lines = (1..).zip(text.lines());
    let mut comments = Vec::new();
    let command = loop {
        let Some((line, content)) = lines.next() else {
            return Err(Bad { line: comments.len() + 1, expected: "a command, `$ …`" });
        };
        if let Some(command) = content.strip_prefix("$ ") {
            break parse_command(command).map_err(|expected| Bad { line, expected })?;
        }
        if !(content.starts_with('#') || content.is_empty()) {
            return Err(Bad { line, expected: "a comment, `# …`, or the command, `$ …`" });
        }
        comments.push(content.to_owned());
    };
    let mut steps = Vec::new();
    for (line, content) in lines {
        let after_end = matches!(steps.last(), Some(Text { step: Step::Status(_), .. }));
        if after_end {
            return Err(Bad { line, expected: "nothing after the status" });
        }
        let step = parse_step(content).map_err(|expected| Bad { line, expected })?;
        steps.push(Text { line, step });
    }
    if !matches!(steps.last(), Some(Text { step: Step::Status(_), .. })) {
        steps.push(Text { line: text.lines().count(), step: Step::Status(0) });
    }
    Ok(Transcript { comments, command, steps })
}

fn parse_step(content: &str) -> Result<Step, &'static str> {
    if let Some(typed) = content.strip_prefix("< ") {
        return Ok(Step::Type(typed.to_owned()));
    }
    if content == "<" {
        return Ok(Step::Type(String::new()));
    }
    if content == "<EOF" {
        return Ok(Step::EndInput);
    }
    if let Some(name) = content.strip_prefix("<signal ") {
        return signal(name).ok_or("one of the signals INT, TERM, HUP and QUIT");
    }
    if content.starts_with('<') {
        return Err("`< ` and a line to type, `<EOF`, or `<signal NAME`");
    }
    if let Some(said) = content.strip_prefix("! ") {
        return Ok(Step::Err(said.to_owned()));
    }
    if let Some(status) = content.strip_prefix("= ") {
        return status.parse().map(Step::Status).map_err(|_| "an exit status, a whole number");
    }
    Ok(Step::Out(content.to_owned()))
}

fn signal(name: &str) -> Option<Step> {
    let known = [
        ("INT", Signal::INT),
        ("TERM", Signal::TERM),
        ("HUP", Signal::HUP),
        ("QUIT", Signal::QUIT),
    ];
    known
        .into_iter()
        .find(|(known, _)| *known == name)
        .map(|(name, signal)| Step::Signal(name, signal))
}

fn parse_command(typed: &str) -> Result<Command, &'static str> {
    const FORM: &str = "[printf 'TEXT' |] cargo run [-q] -p PACKAGE [--features NAME] \
                        [--example NAME] [-- ARGS] [| head -N]";
    let mut pipeline: Vec<Vec<Word>> = vec![Vec::new()];
    for word in words(typed).ok_or("a command whose quotes are closed")? {
        match word {
            Word::Pipe => pipeline.push(Vec::new()),
            word => pipeline.last_mut().expect("it begins with one part").push(word),
        }
    }
    let mut parts: Vec<Vec<String>> = pipeline
        .into_iter()
        .map(|part| part.into_iter().filter_map(Word::text).collect())
        .collect();
    let fed = match &parts[0][..] {
        [printf, text] if printf == "printf" => {
            Some(unescape(text).ok_or("the escapes \\n, \\r, \\t, \\\\ and %% only")?)
        }
        _ => None,
    };
    if fed.is_some() {
        parts.remove(0);
    }
    let head = match parts.get(1).map(Vec::as_slice) {
        Some([head, count]) if head == "head" => Some(head_count(count).ok_or(FORM)?),
        Some(_) => return Err(FORM),
        None => None,
    };
    let run = parts.first().filter(|_| parts.len() <= 2).ok_or(FORM)?;
    let Run { package, example, features, args } = parse_run(run).ok_or(FORM)?;
    Ok(Command { typed: typed.to_owned(), fed, package, example, features, args, head })
}

/// The middle of the pipeline.
struct Run {
    package: String,
    example: Option<String>,
    features: Vec<String>,
    args: Vec<String>,
}

fn parse_run(words: &[String]) -> Option<Run> {
    let ["cargo", "run", rest @ ..] = &words.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let (mut package, mut example, mut features) = (None, None, Vec::new());
    let mut rest = rest.iter().copied();
    while let Some(word) = rest.next() {
        match word {
            "-q" => {}
            "-p" => package = Some(rest.next()?.to_owned()),
            "--example" => example = Some(rest.next()?.to_owned()),
            "--features" => features.extend(rest.next()?.split(',').map(str::to_owned)),
            "--" => break,
            _ => return None,
        }
    }
    Some(Run { package: package?, example, features, args: rest.map(str::to_owned).collect() })
}

fn head_count(option: &str) -> Option<usize> {
    option.strip_prefix('-')?.parse().ok()
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    Text(String),
    Pipe,
}

impl Word {
    fn text(self) -> Option<String> {
        match self {
            Word::Text(text) => Some(text),
            Word::Pipe => None,
        }
    }
}

/// Splits as a shell does, as far as transcripts need it: spaces, the two kinds of quotes, and `|`.
fn words(line: &str) -> Option<Vec<Word>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default(); // '' is a word too
            }
            (None, ' ' | '|') => {
                words.extend(word.take().map(Word::Text));
                words.extend((c == '|').then_some(Word::Pipe));
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.map(Word::Text));
    quote.is_none().then_some(words)
}

/// The escapes of printf that transcripts use.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '\\' => '\\',
                _ => return None,
            },
            '%' => chars.next().filter(|next| *next == '%')?,
            c => c,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_is_read() {
        let text = "# a note\n$ cargo run -q -p ch99 -- --every 0.5\n1 - Hello world!\n< 10\n<\n! late\n<signal INT\n<EOF\n= 130\n";
        let transcript = parse(text).expect("it is well formed");
        assert_eq!(transcript.comments, ["# a note"]);
        assert_eq!(transcript.command.args, ["--every", "0.5"]);
        let steps: Vec<Step> = transcript.steps.into_iter().map(|text| text.step).collect();
        assert_eq!(
            steps,
            [
                Step::Out("1 - Hello world!".to_owned()),
                Step::Type("10".to_owned()),
                Step::Type(String::new()),
                Step::Err("late".to_owned()),
                Step::Signal("INT", Signal::INT),
                Step::EndInput,
                Step::Status(130),
            ]
        );
    }

    #[test]
    fn a_status_of_0_need_not_be_written() {
        let transcript = parse("$ cargo run -p ch99\n").expect("it is well formed");
        assert_eq!(transcript.steps, [Text { line: 1, step: Step::Status(0) }]);
    }

    #[test]
    fn both_ends_of_a_pipeline_are_ours() {
        let command = parse_command(
            r"printf '10\nabc\n' | cargo run -q -p ch99 --example late -- --name 'two words' | head -1",
        );
        let command = command.expect("it is well formed");
        assert_eq!(command.fed.as_deref(), Some("10\nabc\n"));
        assert_eq!((command.program(), command.package.as_str()), ("late", "ch99"));
        assert_eq!(command.args, ["--name", "two words"]);
        assert_eq!(command.head, Some(1));
    }

    #[test]
    fn an_example_may_need_features() {
        let command = "cargo run -q -p ch99 --features tokio --example late -- --every 1";
        let command = parse_command(command).expect("it is well formed");
        assert_eq!((command.program(), &command.features[..]), ("late", &["tokio".to_owned()][..]));
        assert_eq!(command.args, ["--every", "1"]);
        let command = parse_command("cargo run -p ch99 --features a,b").expect("it is well formed");
        assert_eq!(command.features, ["a", "b"]);
    }

    #[test]
    fn what_has_no_meaning_is_refused_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("hello\n$ cargo run -p x\n", 1),
            ("$ ls\n", 1),
            ("$ cargo run -q\n", 1),
            ("$ cargo run -p x --features\n", 1),
            ("$ cargo run -p x | wc -l\n", 1),
            ("$ printf 'a' | tee | cargo run -p x\n", 1),
            ("$ printf '\\x' | cargo run -p x\n", 1),
            ("$ cargo run -p x -- 'open\n", 1),
            ("# note\n$ cargo run -p x\n<wait 3\n", 3),
            ("$ cargo run -p x\n<signal KILLALL\n", 2),
            ("$ cargo run -p x\n= zero\n", 2),
            ("$ cargo run -p x\n= 0\nmore\n", 3),
        ] {
            let bad = parse(text).expect_err(text);
            assert_eq!(bad.line, line, "{text:?}: {bad:?}");
        }
    }
}
