//! What the directives look like on a page.

mod common;

use common::Fixture;

#[track_caller]
fn assert_contains(html: &str, parts: &[&str]) {
    for part in parts {
        assert!(html.contains(part), "`{part}` is not in:\n{html}");
    }
}

#[test]
fn a_listing_has_its_place_its_link_and_faded_context() {
    let html = Fixture::new("{{#listing ch09-loop/src/event_loop.rs:run_once elide=wait}}").main();
    assert_contains(
        &html,
        &[
            "in <code>impl EventLoop</code>",
            "<a href=\"code/ch09-loop/src/event_loop.rs.html#L13-L18\">",
            "lines 13–18",
            "<span class=\"faded\">impl EventLoop {</span>\n    pub fn run_once(&amp;mut self) -&gt; Result&lt;(), io::Error&gt; {\n",
            "<span class=\"faded\">        // … (wait)</span>\n",
            "        self.run::&lt;u8&gt;()\n    }\n",
        ],
    );
    assert!(!html.contains("ANCHOR") && !html.contains("playground"), "{html}");
}

#[test]
fn a_listing_on_a_page_in_a_folder_and_in_a_list() {
    let fixture = Fixture::new("- item\n\n  {{#listing ch09-loop/src/event_loop.rs}}\n\n- next");
    fixture.file(
        "book/text/en/part/other.md",
        "# Other\n\n{{#listing ch09-loop/src/event_loop.rs:wait}}\n",
    );
    let html = fixture.main();
    assert_contains(&html, &["<li>\n<p>next</p>", "use std::io;\n\n/// A loop."]);
    let other = fixture.html("part/other.html");
    assert_contains(
        &other,
        &[
            "in <code>EventLoop::run_once</code>",
            "href=\"../code/ch09-loop/src/event_loop.rs.html#L15-L15\"",
            ", line 15<",
        ],
    );
}

#[test]
fn a_file_shown_has_a_page_with_its_lines() {
    let fixture = Fixture::new("{{#listing ch09-loop/src/event_loop.rs:struct}}");
    let html = fixture.html("code/ch09-loop/src/event_loop.rs.html");
    assert_contains(
        &html,
        &[
            "<span id=\"L5-L8\"></span><span class=\"line\" id=\"L5\">/// A loop.</span>\n",
            "class=\"line faded\" id=\"L4\"",
        ],
    );
    assert_contains(
        &fixture.html("code/index.html"),
        &["href=\"ch09-loop/src/event_loop.rs.html\""],
    );
}

#[test]
fn a_dialogue_tells_who_speaks_and_escapes_it() {
    let fixture = Fixture::new("{{#transcript run}}");
    fixture.file(
        "book/transcripts/run.txt",
        "# unspoken\n$ cargo run -- <x>\nhello\n\n< 1<2\n! oh & no\n<EOF\n= 0\n",
    );
    let html = fixture.main();
    assert_contains(
        &html,
        &[
            "<span class=\"command\">cargo run -- &lt;x&gt;</span>\n",
            "<span>hello</span>\n<span></span>\n",
            "<kbd class=\"typed\">1&lt;2</kbd>",
            "<span class=\"stderr\">oh &amp; no</span>",
            "end of input</kbd>",
            "exit status 0</span></samp></pre>",
        ],
    );
    assert!(!html.contains("unspoken"), "{html}");
}

#[test]
fn a_diff_has_no_anchor_lines() {
    let fixture =
        Fixture::new("{{#diff ch09-loop/src/event_loop.rs ch09-loop/src/other.rs context=1}}");
    let html = fixture.main();
    assert_contains(
        &html,
        &[
            "@@ -13 +13 @@",
            "<del>-        self.wait();</del>\n<ins>+        self.poll();</ins>\n",
            "code/ch09-loop/src/other.rs.html",
        ],
    );
    assert!(!html.contains("ANCHOR"), "{html}");
}

#[test]
fn a_prediction_escapes_what_it_is_given() {
    let fixture = Fixture::new("{{#predict stall}}");
    let toml = "question = \"Is `a < b` & <b>bold</b>?\"\nsettled-by = \"ch09-loop::tests/behaviours.rs::it_stalls\"\n\
        [[options]]\ntext = \"`Vec<u8>`\"\nwhy = \"first\\n\\nsecond\"\nright = true\n[[options]]\ntext = \"no & no\"\nwhy = \"c\"\n";
    fixture.file("book/text/en/predict/stall.toml", toml);
    let html = fixture.main();
    assert_contains(
        &html,
        &[
            "<code>a &lt; b</code> &amp; <b>bold</b>?",
            "<span class=\"letter\">A</span> <span class=\"option\"><code>Vec&lt;u8&gt;</code></span>",
            "<span class=\"letter\">B</span> <span class=\"option\">no &amp; no</span>",
            "<summary>Reveal</summary>",
            "<strong class=\"verdict\">not this one</strong>",
            "<code>it_stalls</code> (<a href=\"code/ch09-loop/tests/behaviours.rs.html#L2-L2\">",
        ],
    );
}

#[test]
fn an_exercise_names_its_test_and_folds_its_hint() {
    let fixture = Fixture::new("{{#exercise lifo}}");
    let toml = "title = \"Last in\"\ntask = \"Do *it*.\"\ntest = \"ch09-loop::tests/behaviours.rs::it_stalls\"\n\
        command = \"cargo test -p ch09-loop\"\nhint = \"Think.\"\npatch = \"x.patch\"\n";
    fixture.file("book/text/en/exercises/lifo.toml", toml);
    let html = fixture.main();
    assert_contains(
        &html,
        &[
            "Exercise: Last in",
            "<em>it</em>",
            "cargo test -p ch09-loop</code>",
            "<summary>Hint</summary>",
        ],
    );
}

#[test]
fn a_row_of_the_matrix_has_its_head() {
    let fixture = Fixture::new("{{#matrix-row \"ch09-loop --late\"}}\n\n{{#matrix}}");
    let table = "Measured.\n\n| | B1 | B2 |\n|---|---|---|\n| `ch09-loop` | ✓ | ✗ |\n| `ch09-loop --late` | ✗ | not judged |\n";
    fixture.file("book/recordings/matrix.md", table);
    let html = fixture.main();
    let (row, whole) = html.split_once("Measured.").expect("the whole matrix comes with its words");
    assert_contains(
        row,
        &["<th scope=\"col\">B1</th>", "<td class=\"no\">✗</td><td class=\"open\">not judged</td>"],
    );
    assert!(!row.contains("<code>ch09-loop</code>"), "{row}");
    assert_contains(whole, &["<code>ch09-loop</code>", "<td class=\"yes\">✓</td>"]);
}

#[test]
fn a_recorded_run_has_its_command_its_output_and_its_circumstances() {
    const FACTS: &str = "$ cargo run -q -p ch09-loop --example stall\n# machine: 2 CPUs, Linux & Co\n# date: 2026-11-22\n";
    let fixture = Fixture::new("{{#recorded cost}}\n\n{{#recorded-table cost}}");
    fixture.file("book/recordings/cost.txt", &format!("{FACTS}  turns  <n>\n\n      7\n"));
    let table = "| turns | `n` |\n|---|---|\n| 7 | ✓ |\n\nWords *after*.\n";
    fixture.file("book/recordings/cost.md", &format!("<!--\n{FACTS}-->\n\n{table}"));
    let html = fixture.main();
    let (text, table) = html.split_once("</figure>").expect("there are two figures");
    for html in [text, table] {
        assert_contains(
            html,
            &[
                "<code class=\"nohighlight\">cargo run -q -p ch09-loop --example stall</code>",
                "<figcaption>Recorded on 2026-11-22, 2 CPUs, Linux &amp; Co.</figcaption>",
            ],
        );
    }
    assert_contains(text, &["<samp>  turns  &lt;n&gt;\n\n      7</samp></pre>"]);
    assert_contains(
        table,
        &[
            "<th scope=\"col\"><code>n</code></th>",
            "<th scope=\"row\">7</th><td class=\"yes\">✓</td>",
            "<p>Words <em>after</em>.</p>",
        ],
    );
    assert!(!html.contains("# machine") && !html.contains("<!--"), "{html}");
}

#[test]
fn listings_of_examples_and_tests() {
    let fixture = Fixture::new(
        "{{#listing ch09-loop/examples/stall.rs:measure}}\n\n{{#listing ch09-loop/tests/behaviours.rs}}\n\n\
         {{#listing ch09-loop/examples/stall.rs:point context=0}}",
    );
    let example = "// ANCHOR: measure\nfn measure() {}\n// ANCHOR_END: measure\n\n#[cfg(test)]\nmod tests {\n    \
                   // ANCHOR: point\n    #[test]\n    fn it_stalls() {}\n    // ANCHOR_END: point\n}\n";
    fixture.file("chapters/ch09-loop/examples/stall.rs", example);
    let html = fixture.main();
    assert_contains(
        &html,
        &[
            "code/ch09-loop/examples/stall.rs.html#L2-L2",
            "in <code>mod tests</code>",
            "<span>#[test]\nfn it_stalls() {}</span>",
            "code/ch09-loop/tests/behaviours.rs.html",
        ],
    );
    assert_contains(
        &fixture.html("code/ch09-loop/examples/stall.rs.html"),
        &["<span id=\"L2-L2\">", "id=\"L8-L9\""],
    );
}

#[test]
fn what_a_page_leaves_out_is_named() {
    let html =
        Fixture::new("{{#left-out ch09-loop/src/event_loop.rs:stop reason=\"It sets a `flag`.\"}}")
            .main();
    assert_contains(
        &html,
        &[
            "Not shown here: <a href=",
            "in <code>impl EventLoop</code>",
            "It sets a <code>flag</code>.",
        ],
    );
}

#[test]
fn texts_beside_the_pages_are_not_published() {
    let fixture = Fixture::new("text");
    assert_eq!(fixture.problems(), Vec::<String>::new());
    assert!(!fixture.built().join("strings.toml").exists());
}
