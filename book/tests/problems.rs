//! Every way a page can be wrong fails the build, at the line its author has to look at.

mod common;

use common::{Fixture, assert_one_problem, assert_problem};

#[test]
fn a_good_page_has_no_problem() {
    let fixture = Fixture::new(
        "A `{{#nothing}}` in code is only spoken of, [x] is a word.\n\n```text\n{{#nothing}}\n```\n\n\
         [a](part/other.md#a-heading) [b](#page) [c](https://example.org/x) <me@example.org>",
    );
    assert_eq!(fixture.problems(), Vec::<String>::new());
}

#[test]
fn all_problems_are_reported_at_once() {
    let fixture = Fixture::new("{{#listing nothing.rs}}\n\n[a](#nothing)\n\n```sh\nls\n```");
    fixture.file("book/text/en/part/other.md", "# Other\n\n{{#transcript none}}\n");
    let problems = fixture.problems();
    let places: Vec<&str> =
        problems.iter().filter_map(|problem| problem.split(": ").next()).collect();
    assert_eq!(places, ["page.md:3", "page.md:5", "page.md:7", "part/other.md:3"]);
}

#[test]
fn directives() {
    assert_problem("text\n\n{{#nothing x}}", 5, "no directive `nothing`");
    assert_problem("text {{#mechanism ch09-loop/src/other.rs}}", 3, "alone on its line");
    assert_problem("{{#listing}}", 3, "takes 1 argument");
    assert_problem("{{#listing ch09-loop/src/other.rs lines=3}}", 3, "no option `lines=`");
    assert_problem("{{#run \"x}}", 3, "quotation does not end");
}

#[test]
fn files_and_anchors() {
    assert_problem("{{#listing ch09-loop/src/nothing.rs}}", 3, "cannot be read");
    assert_problem("{{#listing ../secret.rs}}", 3, "without `..`");
    assert_problem("{{#listing ch09-loop/src/event_loop.rs:nothing}}", 3, "no anchor `nothing`");
    assert_problem("{{#listing ch09-loop/src/event_loop.rs:struct elide=wait}}", 3, "not within");
    let fixture = Fixture::new("{{#listing ch09-loop/src/bad.rs:a}}");
    fixture.file("chapters/ch09-loop/src/bad.rs", "// ANCHOR: a\nx\n");
    assert_one_problem(&fixture, "page.md:3: ", "line 1: anchor `a` never ends");
}

#[test]
fn transcripts() {
    assert_problem("{{#transcript nothing}}", 3, "cannot be read");
    for (text, says) in [
        ("hello\n= 0\n", "`$ `"),
        ("$ ls\n", "`= `"),
        ("$ ls\n= x\n", "line 2: `x` is not an exit status"),
    ] {
        let fixture = Fixture::new("{{#transcript run}}");
        fixture.file("book/transcripts/run.txt", text);
        assert_one_problem(&fixture, "page.md:3: ", says);
    }
}

#[test]
fn diffs() {
    let (old, new) = ("ch09-loop/src/event_loop.rs", "ch09-loop/src/other.rs");
    assert_problem(&format!("{{{{#diff {old} {old}}}}}"), 3, "do not differ");
    assert_problem(&format!("{{{{#diff {old} {new} hunks=1,2}}}}"), 3, "no hunk 2");
    assert_problem(&format!("{{{{#diff {old} {new} from=struct to=struct}}}}"), 3, "do not differ");
}

fn prediction(toml: &str) -> Fixture {
    let fixture = Fixture::new("{{#predict stall}}");
    fixture.file("book/text/en/predict/stall.toml", toml);
    fixture
}

const EXAMPLE: &str = "\
fn main() {}

#[cfg(test)]
mod tests {
    /// It does.
    #[test]
    // Twice.
    fn it_stalls() {}
}
";

#[test]
fn predictions() {
    let options =
        "[[options]]\ntext = \"a\"\nwhy = \"b\"\n[[options]]\ntext = \"c\"\nwhy = \"d\"\n";
    let head = "question = \"Q\"\nsettled-by = \"ch09-loop::tests/behaviours.rs::it_stalls\"\n";
    assert_problem("{{#predict nothing}}", 3, "cannot be read");
    assert_problem("{{#predict ../SUMMARY}}", 3, "not a plain name");
    assert_one_problem(
        &prediction(&format!("{head}{options}")),
        "page.md:3: ",
        "exactly one option",
    );
    assert_one_problem(&prediction(head), "page.md:3: ", "options");
    let right = options.replacen("why = \"b\"", "why = \"b\"\nright = true", 1);
    let settled = |by: &str| head.replace("ch09-loop::tests/behaviours.rs::it_stalls", by) + &right;
    assert_one_problem(
        &prediction(&settled("ch09-loop::tests/behaviours.rs::it_stall")),
        "page.md:3: ",
        "no test `it_stall`",
    );
    assert_one_problem(
        &prediction(&settled("ch08::tests/behaviours.rs::it_stalls")),
        "page.md:3: ",
        "no package `ch08`",
    );
    assert_one_problem(
        &prediction(&settled("nothing")),
        "page.md:3: ",
        "neither a test nor a transcript",
    );
    // A function that is no test settles nothing.
    let fixture = prediction(&settled("ch09-loop::examples/stall.rs::main"));
    assert_one_problem(&fixture, "page.md:3: ", "no test `main`");
    let fixture = prediction(&settled("ch09-loop::examples/stall.rs::tests::it_stalls"));
    assert_one_problem(&fixture, "page.md:3: ", "no test `it_stalls`");
    fixture.file("chapters/ch09-loop/examples/stall.rs", EXAMPLE);
    assert_eq!(fixture.problems(), Vec::<String>::new());
    let linked = format!("{head}{}", right.replacen("why = \"b\"", "why = \"[x](none.md)\"", 1));
    assert_one_problem(&prediction(&linked), "page.md:3: ", "page `none.md` does not exist");
    assert_eq!(prediction(&format!("{head}{right}")).problems(), Vec::<String>::new());
}

#[test]
fn exercises() {
    assert_problem("{{#exercise nothing}}", 3, "cannot be read");
    let exercise = |test: &str, command: &str| {
        let fixture = Fixture::new("{{#exercise lifo}}");
        let toml =
            format!("title = \"T\"\ntask = \"Do.\"\ntest = \"{test}\"\ncommand = \"{command}\"\n");
        fixture.file("book/text/en/exercises/lifo.toml", &toml);
        fixture
    };
    let test = "ch09-loop::tests/behaviours.rs::it_stalls";
    assert_eq!(
        exercise(test, "cargo test -p ch09-loop --test behaviours").problems(),
        Vec::<String>::new()
    );
    assert_one_problem(
        &exercise(test, "cargo test -p ch09-loop --test nothing"),
        "page.md:3: ",
        "no `--test nothing`",
    );
    assert_one_problem(
        &exercise("ch09-loop::tests/none.rs::x", "cargo test -p ch09-loop"),
        "page.md:3: ",
        "cannot be read",
    );
}

#[test]
fn commands() {
    assert_problem("{{#run ch08}}", 3, "no package `ch08`");
    assert_problem(
        "{{#run \"cargo run -p ch09-loop --example nothing\"}}",
        3,
        "no `--example nothing`",
    );
    let good = Fixture::new("{{#run \"printf '1\\n' | cargo run -p ch09-loop --example stall\"}}");
    assert_eq!(good.problems(), Vec::<String>::new());
}

/// The problems of a page with these commands, in a workspace whose example `late` needs the
/// feature `slow`.
fn problems_of_commands(commands: &[&str]) -> Vec<String> {
    let lines = commands.iter().map(|options| format!("{{{{#run \"cargo {options}\"}}}}\n"));
    let fixture = Fixture::new(&lines.collect::<String>());
    let manifest = "[package]\nname = \"ch09-loop\"\n[features]\nslow = []\n\
                    [dependencies]\nrayon = { version = \"1\", optional = true }\n\
                    [[example]]\nname = \"late\"\nrequired-features = [\"slow\"]\n";
    fixture.file("chapters/ch09-loop/Cargo.toml", manifest);
    fixture.file("chapters/ch09-loop/examples/late.rs", "fn main() {}\n");
    fixture.file("chapters/ch09-loop/benches/cost.rs", "fn main() {}\n");
    fixture.file("chapters/ch09-loop/src/main.rs", "fn main() {}\n");
    fixture.problems()
}

/// Asserts that each line of the page from line 3 on has one problem, which says that.
#[track_caller]
fn assert_each_line(problems: &[String], says: &[&str]) {
    assert_eq!(problems.len(), says.len(), "{problems:#?}");
    for ((line, problem), says) in (3..).zip(problems).zip(says) {
        let place = format!("page.md:{line}: ");
        assert!(problem.starts_with(&place) && problem.contains(says), "{says}: {problem}");
    }
}

#[test]
fn commands_with_features() {
    let bad = [
        ("run -p ch09-loop --example late", "needs `--features slow`"),
        ("run -p ch09-loop --features quick --example stall", "no feature `quick`"),
        ("run -p ch09-loop --features slow,quick --example late", "no feature `quick`"),
        ("run -p ch09-loop -F rayon --example late", "needs `--features slow`"),
        ("run -p ch09-loop --bin none", "no `--bin none`"),
        ("bench -p ch09-loop --bench none", "no `--bench none`"),
    ];
    assert_each_line(&problems_of_commands(&bad.map(|case| case.0)), &bad.map(|case| case.1));
    let good = [
        "run --release -p ch09-loop --features slow --example late -- --example none",
        "run -p ch09-loop --features=rayon,ch09-loop/slow --example late",
        "run -p ch09-loop --all-features --example late",
        "run -p ch09-loop --bin ch09-loop",
        "bench -p ch09-loop --bench cost",
    ];
    assert_eq!(problems_of_commands(&good), Vec::<String>::new());
}

/// The problems of a page that shows these recordings, one on a line.
fn problems_of_recordings(directive: &str, kind: &str, texts: &[String]) -> Vec<String> {
    let lines = (0..texts.len()).map(|number| format!("{{{{#{directive} cost-{number}}}}}\n"));
    let fixture = Fixture::new(&lines.collect::<String>());
    for (number, text) in texts.iter().enumerate() {
        fixture.file(&format!("book/recordings/cost-{number}.{kind}"), text);
    }
    fixture.problems()
}

const FACTS: &str =
    "$ cargo run -q -p ch09-loop --example stall\n# machine: 2 CPUs\n# date: 2026-11-22\n";

#[test]
fn recordings() {
    let text = format!("{FACTS}7 turns\n");
    let table = format!("<!--\n{FACTS}-->\n\n| a | b |\n|---|---|\n| 1 | 2.5 |\n");
    assert_problem("{{#recorded nothing}}", 3, "`recordings/nothing.txt` cannot be read");
    assert_problem("{{#recorded-table nothing}}", 3, "`recordings/nothing.md` cannot be read");
    let faults = [
        ("$ cargo run -q -p ch09-loop --example stall\n", "", "(the command) is missing"),
        ("# machine: 2 CPUs\n", "", "(the machine) is missing"),
        ("2 CPUs", "", "(the machine) is missing"),
        ("# date: 2026-11-22\n", "", "(the date) is missing"),
        ("2026-11-22", "yesterday", "not a date"),
        ("-p ch09-loop", "-p ch08", "no package `ch08`"),
        ("--example stall", "--example none", "no `--example none`"),
        ("--example stall", "--features fast", "no feature `fast`"),
        ("-p ch09-loop ", "", "names no package"),
        ("cargo run", "bash chapters/none", "no script `chapters/none`"),
    ];
    for (directive, kind, good) in [("recorded", "txt", text), ("recorded-table", "md", table)] {
        let bad = faults.map(|(part, instead, _)| good.replacen(part, instead, 1));
        let problems = problems_of_recordings(directive, kind, &bad);
        assert_each_line(&problems, &faults.map(|fault| fault.2));
        // Where the fixture has a file, a script may stand as well.
        let script = good.replacen("cargo run", "bash chapters/ch09-loop/src/other.rs", 1);
        assert_eq!(problems_of_recordings(directive, kind, &[good, script]), Vec::<String>::new());
    }
}

#[test]
fn recordings_without_what_was_printed() {
    let problems = problems_of_recordings("recorded", "txt", &[FACTS.to_owned()]);
    assert_each_line(&problems, &["no output"]);
    let table = format!("<!--\n{FACTS}-->\n\n| a | b |\n|---|---|\n| 1 | 2.5 |\n");
    let faults = [
        ("<!--\n", "", "does not begin with a comment"),
        ("-->\n", "", "does not begin with a comment"),
        ("| 1 |", "| 1 | 2 |", "3 cells, the head 2"),
        ("|---|---|\n", "", "no line below the head"),
        ("| 1 | 2.5 |\n", "| 1 | 2.5 |\n\n[x](none.md)\n", "page `none.md` does not exist"),
    ];
    let bad = faults.map(|(part, instead, _)| table.replacen(part, instead, 1));
    let problems = problems_of_recordings("recorded-table", "md", &bad);
    assert_each_line(&problems, &faults.map(|fault| fault.2));
}

#[test]
fn the_matrix() {
    assert_problem("{{#matrix}}", 3, "cannot be read");
    let fixture = Fixture::new("{{#matrix-row ch09-loop \"ch09-loop --late\"}}");
    fixture.file("book/recordings/matrix.md", "| | B1 |\n|---|---|\n| `ch09-loop` | ✓ |\n");
    assert_one_problem(&fixture, "page.md:3: ", "no row `ch09-loop --late`");
}

#[test]
fn a_mechanism_is_shown_whole_or_named() {
    let file = "ch09-loop/src/event_loop.rs";
    let page = |listings: &str| format!("{{{{#mechanism {file}}}}}\n\n{listings}");
    let some = page(&format!("{{{{#listing {file}:run_once context=0}}}}"));
    assert_problem(&some, 3, "line 6 (`pub struct EventLoop {`) is neither shown");
    let elided = format!(
        "{{{{#listing {file}:run_once elide=wait}}}}\n{{{{#listing {file}:struct}}}}\n{{{{#left-out {file}:stop reason=\"R\"}}}}"
    );
    assert_problem(&page(&elided), 3, "line 15 (`self.wait();`)");
    let all = Fixture::new(&page(&elided.replace(" elide=wait", "")));
    assert_eq!(all.problems(), Vec::<String>::new());
    assert_problem(&format!("{{{{#left-out {file}:stop}}}}"), 3, "needs `reason=");
}

#[test]
fn links() {
    assert_problem("text\n\n[a](nothing.md)", 5, "page `nothing.md` does not exist");
    assert_problem("[a](part/other.md#nothing)", 3, "no heading or place `#nothing`");
    assert_problem("[a](#nothing)", 3, "no heading or place `#nothing`");
    assert_problem("[a](../strings.toml)", 3, "out of the book");
    assert_problem("[a](/etc/passwd)", 3, "out of the book");
    assert_problem("[a](part/other.html)", 3, "`.md`");
    assert_problem("![a](nothing.png)", 3, "file `nothing.png` does not exist");
    assert_problem("<img src=\"nothing.png\" alt=\"\">", 3, "file `nothing.png` does not exist");
    assert_problem("[a](https://)", 3, "not a well-formed address");
    assert_problem("[a](file:///etc/passwd)", 3, "not a well-formed address");
    assert_problem("[a][b]", 3, "reference `b` is not defined");
    let unlisted = Fixture::new("[a](draft.md)");
    unlisted.file("book/text/en/draft.md", "# Draft\n");
    assert_one_problem(&unlisted, "page.md:3: ", "not in SUMMARY.md");
}

#[test]
fn code_by_hand() {
    for language in
        ["rust", "rust,ignore", "console", "sh", "bash", "shell", "shell-session", "Rust"]
    {
        assert_problem(&format!("text\n\n```{language}\nx\n```"), 5, "block by hand");
    }
    assert_eq!(Fixture::new("```text\nx\n```").problems(), Vec::<String>::new());
}

#[test]
fn the_summary_and_the_words() {
    let fixture = Fixture::new("text");
    fixture.file("book/text/en/SUMMARY.md", "# Summary\n\n- [Page](page.md)\n- [None](none.md)\n");
    assert_one_problem(&fixture, "SUMMARY.md:4: ", "page `none.md` does not exist");
    let fixture = Fixture::new("text");
    fixture.file("book/text/en/strings.toml", "right = \"x\"\n");
    assert_one_problem(&fixture, "strings.toml:1: ", "missing field");
}
