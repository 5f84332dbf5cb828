//! Charts as SVG, drawn without a script. All texts on them are numbers; names stand beside them, in HTML.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::field_stats::float;

/// Height of a chart, and its width where points are placed freely; it is stretched to the room there is.
const HEIGHT: f64 = 100.0;
const WIDTH: f64 = 600.0;
/// Points of a line; no screen shows more.
const MOST_POINTS: usize = 300;

/// A line: where it goes, and how it is drawn (`one`, `two`, or `one dashed`).
pub(super) struct Line<'a> {
    pub(super) class: &'a str,
    pub(super) points: Vec<(f64, f64)>,
}

/// A chart with what stands around it.
pub(super) struct Figure<'a> {
    pub(super) title: &'a str,
    /// What the top of the chart stands for.
    pub(super) top: String,
    pub(super) left: String,
    pub(super) right: String,
    /// The classes of lines or bars, and what they are.
    pub(super) legend: &'a [(&'a str, &'a str)],
}

impl Figure<'_> {
    /// Draws lines over a width and up to a height.
    pub(super) fn lines(&self, width: f64, height: f64, lines: &[Line<'_>]) -> Value {
        let mut drawn = String::new();
        for line in lines {
            let step = line.points.len().div_ceil(MOST_POINTS).max(1);
            let last = line.points.last().into_iter();
            let points = line.points.iter().step_by(step).chain(last);
            let points = points.fold(String::new(), |mut points, (x, y)| {
                let x = x / width.max(f64::MIN_POSITIVE) * WIDTH;
                let y = HEIGHT - y / height.max(f64::MIN_POSITIVE) * HEIGHT;
                let _ = write!(points, "{x:.1},{y:.1} ");
                points
            });
            let (class, points) = (line.class, points.trim_end());
            let _ = write!(drawn, r#"<polyline class="{class}" points="{points}"/>"#);
        }
        self.with(WIDTH, &drawn)
    }

    /// Draws bars, each of parts upon each other, of the classes `one`, `two`.
    pub(super) fn bars(&self, bars: &[[u64; 2]]) -> Value {
        let highest = bars.iter().map(|parts| parts.iter().sum()).max();
        let highest = float(highest.unwrap_or(0).max(1));
        let mut drawn = String::new();
        for (number, parts) in bars.iter().enumerate() {
            let x = number * 10;
            let mut y = HEIGHT;
            for (part, class) in parts.iter().zip(["one", "two"]).filter(|it| *it.0 > 0) {
                // What is there at all can be seen.
                let high = (float(*part) / highest * HEIGHT).max(1.0);
                y -= high;
                let _ = write!(
                    drawn,
                    r#"<rect class="{class}" x="{x}" y="{y:.1}" width="9" height="{high:.1}"><title>{part}</title></rect>"#
                );
            }
        }
        self.with(float(bars.len() as u64) * 10.0, &drawn)
    }

    fn with(&self, width: f64, drawn: &str) -> Value {
        let svg = format!(
            r#"<svg viewBox="0 0 {width} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>"#
        );
        json!({
            "title": self.title, "svg": svg, "top": self.top, "left": self.left, "right": self.right,
            "legend": self.legend,
        })
    }
}

/// Draws a bar that is filled to a share.
pub(super) fn meter(part: u64, of: u64) -> String {
    let share = (float(part) / float(of.max(1)) * 100.0).min(100.0);
    format!(
        r#"<svg class="meter" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="all" width="100" height="10"/><rect class="one" width="{share:.1}" height="10"/></svg>"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIGURE: Figure<'_> = Figure {
        title: "",
        top: String::new(),
        left: String::new(),
        right: String::new(),
        legend: &[],
    };

    #[test]
    fn bars_and_lines_fill_the_chart() {
        let bars = FIGURE.bars(&[[1, 1], [4, 0]]);
        let svg = bars["svg"].as_str().unwrap();
        assert!(svg.contains(r#"viewBox="0 0 20 100""#), "{svg}");
        assert!(
            svg.contains(r#"class="two" x="0" y="50.0" width="9" height="25.0""#),
            "{svg}"
        );
        let points = (0..1000).map(|x| (f64::from(x), f64::from(x))).collect();
        let line = Line {
            class: "one",
            points,
        };
        let lines = FIGURE.lines(999.0, 999.0, &[line]);
        let svg = lines["svg"].as_str().unwrap();
        assert!(
            svg.contains("points=\"0.0,100.0 ") && svg.contains("600.0,0.0\""),
            "{svg}"
        );
        assert!(svg.len() < 6_000);
        assert!(meter(1, 4).contains(r#"width="25.0""#));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let nothing = FIGURE.lines(
            0.0,
            0.0,
            &[Line {
                class: "one",
                points: vec![(0.0, 0.0)],
            }],
        );
        assert!(!nothing["svg"].as_str().unwrap().contains("NaN"));
        assert!(
            !FIGURE.bars(&[[0, 0]])["svg"]
                .as_str()
                .unwrap()
                .contains("rect")
        );
        assert!(meter(0, 0).contains(r#"width="0.0""#));
    }
}
