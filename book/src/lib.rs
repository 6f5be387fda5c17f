//! Builds and serves the book: mdBook's own library, with directives that take code, dialogues and
//! measurements from where they are tested, and a check that nothing on a page is stale.
//!
//! A page (`text/en/*.md`) holds words and directives, never code. A directive stands alone on its
//! line (it may be indented, in a list); in code it is only spoken of. Anything missing fails the
//! build as `page:line: message`.
//!
//! | directive | gives |
//! |---|---|
//! | `{{#listing PATH[:ANCHOR] [context=1] [elide=A,B]}}` | the code between `// ANCHOR: A` and `// ANCHOR_END: A` (or the whole file), dedented, with its place and a link; `context` faded lines of code on either side; nested anchors elided |
//! | `{{#mechanism PATH}}` | a link to the file, and the promise that listings and `left-out`s of this page account for each of its lines |
//! | `{{#left-out PATH[:ANCHOR] reason="…"}}` | names a part that the page does not show |
//! | `{{#diff OLD NEW [hunks=1,3] [context=3] [from=ANCHOR] [to=ANCHOR]}}` | what changed, without the anchor lines |
//! | `{{#transcript NAME}}` | the dialogue in `transcripts/NAME.txt` |
//! | `{{#run PACKAGE}}`, `{{#run "COMMAND LINE"}}` | a command to copy; `-p`, `--bin`, `--example`, `--test`, `--bench` and `--features` must name what exists, and a target that needs features must be given them |
//! | `{{#recorded NAME}}` | a run whose figures differ each time: the command, the output, the machine and the date of `recordings/NAME.txt` |
//! | `{{#recorded-table NAME}}` | the same where the output is a table, `recordings/NAME.md` |
//! | `{{#predict NAME}}` | the question in `text/en/predict/NAME.toml` |
//! | `{{#exercise NAME}}` | the exercise in `text/en/exercises/NAME.toml` |
//! | `{{#matrix}}` | the behaviour matrix, `recordings/matrix.md` |
//! | `{{#matrix-row NAME …}}` | its head and the rows whose first cell is that name |
//!
//! Paths are relative to `chapters/`, or begin with `shared/`, `benches/` or `book/`. A value with
//! blanks is quoted: `"…"`, in which `\"` is a quotation mark and `\\` a backslash. The formats of
//! files are described where they are read: `directives/transcript.rs`, `predict.rs`,
//! `exercise.rs`, `matrix.rs`, `recorded.rs`. Words around all this are in `strings.toml`. A test is
//! named `PACKAGE::PATH::NAME`: `ch01-sync::tests/page.rs::name`,
//! `ch01-sync::examples/cost.rs::tests::name`.
//!
//! From the top: [`build`] runs mdBook with [`expand`], which goes through each page's
//! [`directives`] and its [`check`]s.

#![forbid(unsafe_code)]

pub mod build;
pub mod check;
pub mod code_pages;
pub mod directives;
pub mod expand;
pub mod html;
pub mod library;
pub mod outline;
pub mod page;
pub mod places;
pub mod preprocess;
pub mod problem;
pub mod serve;
pub mod source;
pub mod strings;
