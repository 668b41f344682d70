//! Draws a header as the RFCs do, 32 bits a line, with the values in it; and dumps bytes.

use super::checksum::Checksum;
use super::dissect::Layer;
use super::fields::Field;
use std::fmt::Write;

/// The header's box. What does not fit its cell is listed below it.
pub fn draw(layer: &Layer) -> String {
    let mut out = format!(
        "{} ({}), {} bytes\n{RULER}",
        layer.protocol.name(),
        layer.protocol.source(),
        layer.bytes.len()
    );
    let rows = rows(&layer.fields);
    let mut unfit: Vec<String> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        out.push_str(&border(index.checked_sub(1).map(|above| &rows[above]), Some(row)));
        out.push('|');
        for cell in row {
            let width = 2 * cell.bits - 1;
            let field = &layer.fields[cell.field];
            let (text, fits) = label(field, width, cell.is_first);
            if cell.is_first && !fits {
                unfit.push(format!("{} = {}", field.name, field.text()));
            }
            // Writing to a String cannot fail.
            let _ = write!(out, "{text:^width$}|");
        }
        out.push('\n');
    }
    out.push_str(&border(rows.last(), None));
    if !layer.options().is_empty() {
        let hex: Vec<String> = layer.options().iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(out, "options: {}", hex.join(" "));
    }
    if !unfit.is_empty() {
        let _ = writeln!(out, "{}", unfit.join(", "));
    }
    match layer.checksum {
        Some(Checksum::Good) => out.push_str("checksum: good\n"),
        Some(Checksum::Absent) => out.push_str("checksum: none (allowed for UDP over IPv4)\n"),
        Some(Checksum::Unknown) => out.push_str("checksum: cannot tell, data is missing\n"),
        Some(Checksum::Bad { expected }) => {
            let _ = writeln!(out, "checksum: WRONG, {expected:#06x} expected");
        }
        None => {}
    }
    out
}

/// Offset, bytes in hex and as text, 16 a line.
pub fn hexdump(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (index, line) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = line
            .chunks(8)
            .map(|half| half.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "))
            .collect();
        let shown = |b: &u8| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' };
        let text: String = line.iter().map(shown).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:04x}  {:<48}  {text}", index * 16, hex.join("  "));
    }
    out
}

struct Cell {
    field: usize,
    bits: usize,
    is_first: bool,
}

/// The fields cut into lines of 32 bits.
fn rows(fields: &[Field]) -> Vec<Vec<Cell>> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut room = 0;
    for (field, spec) in fields.iter().enumerate() {
        let mut left = spec.bits as usize;
        let mut is_first = true;
        while left > 0 {
            if room == 0 {
                rows.push(Vec::new());
                room = ROW_BITS;
            }
            let bits = left.min(room);
            if let Some(row) = rows.last_mut() {
                row.push(Cell { field, bits, is_first });
            }
            (left, room, is_first) = (left - bits, room - bits, false);
        }
    }
    rows
}

/// The line between two rows: open where a field goes on.
fn border(above: Option<&Vec<Cell>>, below: Option<&Vec<Cell>>) -> String {
    let owners = |row: Option<&Vec<Cell>>| -> Vec<Option<usize>> {
        let mut owners: Vec<Option<usize>> = row
            .into_iter()
            .flatten()
            .flat_map(|cell| std::iter::repeat_n(Some(cell.field), cell.bits))
            .collect();
        owners.resize(ROW_BITS, None);
        owners
    };
    let (above, below) = (owners(above), owners(below));
    let mut line = String::from("+");
    for bit in 0..ROW_BITS {
        let used = above[bit].is_some() || below[bit].is_some();
        let goes_on = above[bit].is_some() && above[bit] == below[bit];
        let last_of_field = bit + 1 == ROW_BITS || below[bit] != below[bit + 1];
        line.push_str(match (used, goes_on) {
            (false, _) => "",
            (true, false) => "-+",
            (true, true) if last_of_field => " +",
            (true, true) => "  ",
        });
    }
    line.push('\n');
    line
}

/// The best text for a cell, and whether it says all.
fn label(field: &Field, width: usize, is_first: bool) -> (String, bool) {
    if !is_first {
        return (String::new(), true);
    }
    let value = field.text();
    let full = format!("{} = {value}", field.name.replace('_', " "));
    if full.len() <= width {
        (full, true)
    } else if value.len() <= width {
        (value, false)
    } else {
        ("*".into(), false)
    }
}

const ROW_BITS: usize = 32;
const RULER: &str = " 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
";
