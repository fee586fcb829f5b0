//! The latencies as a picture: which share of the answers took how long.

use anyhow::anyhow;
use plotters::prelude::*;
use scenario_report::Part;

const SIZE: (u32, u32) = (860, 380);
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);
/// The percentiles that are marked.
const MARKS: [f64; 3] = [50.0, 95.0, 99.0];
/// How far to the right the picture goes: three nines.
const NINES: f64 = 3.0;

/// A percentile's place: each further nine takes as much room as the one before.
fn nines(percent: f64) -> f64 {
    -(1.0 - percent / 100.0).log10()
}

fn percent(nines: f64) -> f64 {
    100.0 * (1.0 - 10f64.powf(-nines))
}

/// Draws them, as SVG.
pub(super) fn draw(part: &Part) -> anyhow::Result<String> {
    let mut text = String::new();
    // Its errors are not those that can leave this thread.
    fill(&mut text, part).map_err(|error| anyhow!("the chart cannot be drawn: {error}"))?;
    Ok(text)
}

fn fill(text: &mut String, part: &Part) -> Result<(), Box<dyn std::error::Error>> {
    let took = |percent: f64| part.latencies.percentile(percent) as f64 / 1e6;
    let report = part.report();
    let title = format!(
        "{}: {} users, {} requests, {:.0} per second",
        report.scenario, report.total_users, report.total_requests, report.throughput_rps
    );
    let top = took(percent(NINES)).max(0.001) * 1.1;

    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..NINES, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_labels(4)
        .x_label_formatter(&|at| {
            format!("{:.4}", percent(*at)).trim_end_matches('0').trim_end_matches('.').to_owned()
        })
        .x_desc("percent of the answers")
        .y_desc("took at most so many ms")
        .draw()?;
    let steps = 0..=300;
    let line = steps.map(|step| f64::from(step) / 100.0).map(|at| (at, took(percent(at))));
    chart.draw_series(LineSeries::new(line, BLUE.stroke_width(2)))?;
    for mark in MARKS {
        let point = (nines(mark), took(mark));
        let name = format!("p{mark}: {:.3} ms", point.1);
        chart.draw_series([Circle::new(point, 4, ORANGE.filled())])?;
        chart.draw_series([EmptyElement::at(point) + Text::new(name, (-90, -18), ("sans-serif", 13))])?;
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_picture_even_of_nothing() {
        let mut part = Part { scenario: "one & two".into(), ..Part::default() };
        assert!(draw(&part).unwrap().contains("one &amp; two"));
        (1..=1000u64).for_each(|latency| part.latencies.record(latency * 1_000_000));
        let picture = draw(&part).unwrap();
        assert!(picture.contains("p50: 5") && picture.contains("p99: 9"), "{picture}");
    }

    #[test]
    fn nines_are_evenly_spaced() {
        assert!((nines(90.0) - 1.0).abs() < 1e-9 && (nines(99.9) - 3.0).abs() < 1e-9);
        assert!((percent(nines(95.0)) - 95.0).abs() < 1e-9);
    }
}
