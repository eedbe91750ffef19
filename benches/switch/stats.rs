//! Medians and what is sure of them.

/// The value below which that part of `values` lies.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let index = (part * last as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// A median with the bounds within which it lies at 95 %, from the order of the values alone.
#[derive(Clone, Copy)]
pub struct Estimate {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Estimate {
    pub fn of(values: &[f64]) -> Self {
        let half = 0.98 / (values.len().max(1) as f64).sqrt();
        Estimate {
            median: median(values),
            low: quantile(values, (0.5 - half).max(0.0)),
            high: quantile(values, (0.5 + half).min(1.0)),
        }
    }

    /// Of `a` to `b`, round by round: what disturbs a round disturbs both.
    pub fn ratio(a: &[f64], b: &[f64]) -> Self {
        Estimate::of(&a.iter().zip(b).map(|(a, b)| a / b).collect::<Vec<_>>())
    }
}
