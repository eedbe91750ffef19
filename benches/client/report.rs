//! Rows as a table, and as JSON.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// What was measured so far.
#[derive(Default)]
pub struct Report {
    cases: Map<String, Value>,
    case: String,
}

impl Report {
    /// The rows that follow are of this case.
    pub fn begin(&mut self, case: &str) {
        self.case = case.to_owned();
        println!("{case}\n  {:<40}{:>12}{:>16}{:>8}  goal", "", "ours", "theirs", "ratio");
    }

    /// A row: what it is, how long ours took in each round, who the others are and how long they took, and how many
    /// times theirs ours may be.
    pub fn add(
        &mut self,
        row: &str,
        ours: &[Duration],
        (whose, theirs): (&str, &[Duration]),
        goal: Option<f64>,
    ) {
        let (ours, theirs) = (median(ours), median(theirs));
        let ratio = ours / theirs;
        let wanted = goal.map_or(String::new(), |goal| format!("≤ {goal:.2}"));
        println!(
            "  {row:<40}{:>9.3} ms{:>13.3} ms{ratio:>8.2}  {wanted:<6} {whose}",
            ours * 1e3,
            theirs * 1e3
        );
        let entry = self.cases.entry(self.case.clone()).or_insert_with(|| json!([]));
        if let Some(rows) = entry.as_array_mut() {
            rows.push(json!({
                "row": row, "ours_ms": rounded(ours * 1e3), "theirs_ms": rounded(theirs * 1e3),
                "theirs": whose, "ratio": rounded(ratio), "goal": goal,
            }));
        }
    }

    /// Everything, as one value.
    pub fn json(&self) -> Value {
        Value::Object(self.cases.clone())
    }
}

/// In seconds.
fn median(times: &[Duration]) -> f64 {
    let mut times: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn rounded(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}
