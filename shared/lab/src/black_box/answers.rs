//! B2, B5, B6, B7: is every line read, read as it was meant, and answered?

use super::talk::{PATIENCE, Setting, Talk, talk};
use super::{Outcome, Subject, verdict};
use crate::verdict::Verdict;

/// B2: one question after the other, both ends of what is quick and every spelling of a number.
pub(super) fn right(subject: &Subject) -> Verdict {
    const SPELLINGS: [(&str, u32); 7] =
        [("0", 0), ("1", 1), ("2", 2), ("30", 30), ("+7", 7), ("008", 8), (" 9\t\r", 9)];
    verdict(talk(subject, &Setting::quiet(), |talk| {
        for (typed, asked) in SPELLINGS {
            talk.send(format!("{typed}\n"))?;
            talk.answers(&[asked])?;
        }
        Ok(())
    }))
}

/// B5: the pipe stays open, so that nothing but the lines themselves can wake the program.
pub(super) fn to_many_lines(subject: &Subject) -> Verdict {
    let asked: Vec<u32> = (1..=20).collect();
    verdict(talk(subject, &Setting::quiet(), |talk| {
        talk.first_hello()?;
        let lines: Vec<String> = asked.iter().map(|n| format!("{n}\n")).collect();
        talk.send(lines.concat())?;
        talk.answers(&asked)?;
        answered_exactly(talk, subject, &asked)
    }))
}

/// Each question has one answer, and they stand in the order of the questions wherever one worker
/// computes them.
fn answered_exactly(talk: &Talk, subject: &Subject, asked: &[u32]) -> Outcome {
    let mut answered = talk.answered();
    if subject.takes_workers {
        answered.sort_unstable();
    }
    match answered == asked {
        true => Ok(()),
        false => Err(Verdict::NotShown(format!("{asked:?} were asked, and {answered:?} answered"))),
    }
}

/// B6: wherever a line is split, also after another line, and between the bytes of CRLF.
pub(super) fn to_split_lines(subject: &Subject) -> Verdict {
    const WRITES: [&str; 8] = ["1", "2\n", "13", "\n", "14\r", "\n", "15\n1", "6\n"];
    const ASKED: [u32; 5] = [12, 13, 14, 15, 16];
    verdict(talk(subject, &Setting::quiet(), |talk| {
        talk.first_hello()?;
        for write in WRITES {
            talk.send(write)?;
            talk.wait_until_read()?;
        }
        talk.answers(&ASKED)?;
        let dialogue = talk.dialogue();
        match dialogue.len() == ASKED.len() {
            true => Ok(()),
            false => Err(Verdict::NotShown(format!(
                "{ASKED:?} were typed in pieces, and the output is {dialogue:?}"
            ))),
        }
    }))
}

/// More than the 1 KiB that a line may have.
const TOO_LONG: usize = 2000;

/// B7: each bad line gives one error on standard output, a blank one nothing, and the next question
/// is answered.
pub(super) fn to_bad_lines(subject: &Subject) -> Verdict {
    verdict(talk(subject, &Setting::quiet(), |talk| {
        for (asked, bad) in (1..).zip([
            "x",
            "-1",
            "3.0",
            "1_000",
            "0x10",
            "٣",
            "94",
            "99999999999999999999",
            "exit now",
        ]) {
            let error = format!("error: expected a whole number from 0 to 93, got {bad:?}");
            mistake(talk, bad.as_bytes(), asked, |line| line == error)?;
        }
        mistake(talk, b"\xff\xfe7", 21, |line| line.starts_with("error: "))?;
        mistake(talk, "7".repeat(TOO_LONG).as_bytes(), 22, |line| line.starts_with("error: "))?;
        let before = talk.dialogue().len();
        talk.send("\n  \t\r\n23\n")?;
        talk.answers(&[23])?;
        match talk.dialogue().len() - before {
            1 => Ok(()),
            _ => Err(Verdict::NotShown(format!(
                "a blank line was not ignored: {:?}",
                &talk.dialogue()[before..]
            ))),
        }
    }))
}

/// Types a bad line and a good question: there must be one line about each. They may change places
/// where the answer is computed beside the loop.
fn mistake(talk: &mut Talk, bad: &[u8], asked: u32, is_right: impl Fn(&str) -> bool) -> Outcome {
    let before = talk.dialogue().len();
    let typed = [bad, format!("\n{asked}\n").as_bytes()].concat();
    talk.send(typed)?;
    talk.answers(&[asked])?;
    talk.driven
        .wait(std::time::Instant::now() + PATIENCE, |driven| dialogue_of(driven, before + 2));
    let new = talk.dialogue().split_off(before);
    let errors = new.iter().filter(|line| is_right(line)).count();
    match (errors, new.len()) {
        (1, 2) => Ok(()),
        _ => Err(Verdict::NotShown(format!(
            "{:?} was typed, then {asked}, and the output is {new:?}",
            String::from_utf8_lossy(bad)
        ))),
    }
}

fn dialogue_of(driven: &crate::driven::Driven, lines: usize) -> Option<()> {
    use crate::wire::Wire;
    let out = driven.lines_on(crate::driven::Stream::Out);
    (out.filter(|line| Wire::read(&line.text) != Wire::Hello).count() >= lines).then_some(())
}
