//! Charts, as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::table::number;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 860;
const LINES: u32 = 340;
const BAR: u32 = 26;

/// Colours that also those can tell apart who see some of them alike (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(120, 120, 120),
    RGBColor(230, 159, 0),
];

/// One picture of a chart.
#[derive(Debug)]
pub(crate) enum Panel {
    /// How something grows. Its steps stand equally far apart, whatever their numbers.
    Lines { title: String, steps: Vec<String>, below: &'static str, lines: Vec<(String, Vec<f64>)> },
    /// What is compared.
    Bars { title: String, logarithmic: bool, bars: Vec<(String, f64)> },
}

impl Panel {
    fn height(&self) -> u32 {
        match self {
            Self::Lines { .. } => LINES,
            Self::Bars { bars, .. } => BAR * (bars.len() as u32 + 3),
        }
    }
}

/// Draws the panels below each other.
pub(crate) fn draw(path: &Path, panels: &[Panel]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let height = panels.iter().map(Panel::height).sum();
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        let drawn = fill(&root, panels).and_then(|()| Ok(root.present()?));
        // Its errors are not those that can leave this thread.
        drawn.map_err(|error| anyhow!("the chart cannot be drawn: {error}"))?;
    }
    std::fs::write(path, text)?;
    eprintln!("chart: {}", path.display());
    Ok(())
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn fill(root: &Area<'_>, panels: &[Panel]) -> Drawn {
    root.fill(&WHITE)?;
    let mut rest = root.clone();
    for panel in panels {
        let (here, below) = rest.split_vertically(panel.height());
        rest = below;
        match panel {
            Panel::Lines { title, steps, below, lines } => draw_lines(&here, title, steps, below, lines)?,
            Panel::Bars { title, logarithmic, bars } => draw_bars(&here, title, *logarithmic, bars)?,
        }
    }
    Ok(())
}

fn draw_lines(
    area: &Area<'_>,
    title: &str,
    steps: &[String],
    below: &str,
    lines: &[(String, Vec<f64>)],
) -> Drawn {
    let top = lines.iter().flat_map(|(_, values)| values).copied().filter(|value| value.is_finite());
    // Room for the names above the lines.
    let top = top.fold(f64::MIN_POSITIVE, f64::max) * (1.1 + 0.09 * lines.len() as f64);
    let last = steps.len().saturating_sub(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(72)
        .build_cartesian_2d(-0.2..last + 0.2, 0.0..top)?;
    let step = |at: &f64| {
        let near = at.round();
        let name = if (at - near).abs() < 0.01 { steps.get(near as usize) } else { None };
        name.cloned().unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_labels(2 * steps.len() + 1)
        .x_label_formatter(&step)
        .y_label_formatter(&|value| number(*value))
        .x_desc(below)
        .draw()?;
    for (at, (name, values)) in lines.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let points = values.iter().enumerate().filter(|(_, value)| value.is_finite());
        let points: Vec<(f64, f64)> = points.map(|(at, value)| (at as f64, *value)).collect();
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}

fn draw_bars(area: &Area<'_>, title: &str, logarithmic: bool, bars: &[(String, f64)]) -> Drawn {
    let bars: Vec<_> = bars.iter().filter(|(_, value)| value.is_finite() && *value > 0.0).collect();
    let (text, left) = (("sans-serif", 13).into_font(), 400);
    let title = if logarithmic { format!("{title}, logarithmic") } else { title.to_owned() };
    area.draw(&Text::new(title, (12, 10), ("sans-serif", 17).into_font()))?;
    let values = bars.iter().map(|(_, value)| *value);
    let (low, high) =
        values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let room = f64::from(WIDTH) - f64::from(left) - 90.0;
    let share = |value: f64| {
        // The shortest bar of a logarithmic scale is a twentieth of the longest.
        if logarithmic { 0.05 + 0.95 * (value / low).ln() / (high / low).ln().max(0.1) } else { value / high }
    };
    let length = |value: f64| (room * share(value)) as i32;
    for (at, (name, value)) in bars.iter().enumerate() {
        let y = (BAR as i32) * (at as i32 + 2) - 8;
        let ours = if name.starts_with("ours") { COLOURS[1] } else { COLOURS[0] };
        area.draw(&Text::new(name.as_str(), (12, y + 2), text.clone()))?;
        area.draw(&Rectangle::new([(left, y), (left + length(*value), y + 17)], ours.filled()))?;
        area.draw(&Text::new(number(*value), (left + length(*value) + 6, y + 2), text.clone()))?;
    }
    Ok(())
}
