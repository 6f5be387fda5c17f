//! Times by numbers of descriptors as a picture (SVG), both axes in powers of ten.

/// One way of waiting.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    /// How it is dashed, as SVG says it.
    pub(crate) dashes: &'static str,
    /// Of so many descriptors, so many nanoseconds.
    pub(crate) points: Vec<(usize, f64)>,
}

/// From 10 to 10,000 descriptors and from 100 ns to 1 ms. Grey is readable on light and on dark.
pub(crate) fn svg(lines: &[Line]) -> String {
    let x = |size: usize| 80.0 + 120.0 * ((size as f64).log10() - 1.0);
    let y = |nanos: f64| 360.0 - 80.0 * (nanos.log10() - 2.0);
    let mut svg = String::from(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 540 420' font-family='sans-serif' \
         font-size='14' fill='currentColor' style='color:#7a7a7a'>\n\
         <title>The time of one wait, by the number of descriptors, one of them ready</title>\n",
    );
    for (power, label) in (2..).zip(["100 ns", "1 µs", "10 µs", "100 µs", "1 ms"]) {
        let y = y(10_f64.powi(power));
        svg += &format!("<text x='8' y='{:.0}'>{label}</text>\n", y + 5.0);
        svg += &format!("<path d='M80 {y:.0}H450' stroke='currentColor' stroke-width='.4'/>\n");
    }
    for size in [10, 100, 1_000, 10_000] {
        svg += &format!("<text x='{:.0}' y='382' text-anchor='middle'>{size}</text>\n", x(size));
    }
    svg += "<text x='265' y='408' text-anchor='middle'>descriptors, one of them ready</text>\n";
    for Line { name, dashes, points } in lines {
        let points: Vec<(f64, f64)> =
            points.iter().map(|(size, nanos)| (x(*size), y(*nanos))).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.0},{y:.0}")).collect();
        svg += &format!(
            "<polyline points='{}' fill='none' stroke='currentColor' stroke-width='2' \
             stroke-dasharray='{dashes}'/>\n",
            path.join(" ")
        );
        if let Some((x, y)) = points.last() {
            svg += &format!("<text x='{:.0}' y='{:.0}'>{name}</text>\n", x + 8.0, y + 5.0);
        }
    }
    svg + "</svg>\n"
}
