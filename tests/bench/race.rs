//! Proxies side by side under the same load.

use crate::{Plan, load::Load, peers::Proxy, process};

/// One proxy under one load, and what was measured.
pub(crate) struct Runner<'a> {
    pub(crate) name: String,
    pub(crate) proxy: &'a Proxy,
    pub(crate) load: Load,
    micros: Vec<f64>,
    rates: Vec<f64>,
}

/// What a runner's turns cost.
pub(crate) struct Score {
    pub(crate) name: String,
    /// CPU time a turn, in microseconds: the median of the rounds.
    pub(crate) micros: f64,
    /// Turns a second: the median of the rounds.
    pub(crate) rate: f64,
    /// How far apart the rounds are: half of them lie within this part of the median.
    pub(crate) spread: f64,
    /// CPU time a turn in each round.
    rounds: Vec<f64>,
}

impl Score {
    /// How many times as dear as another: the median of what each round says, in which both met the
    /// same machine. Its speed changes from one round to the next by more than what is compared.
    pub(crate) fn of(&self, other: &Self) -> f64 {
        self.median(other, |own, other| own / other)
    }

    /// How much dearer than another, in microseconds.
    pub(crate) fn above(&self, other: &Self) -> f64 {
        self.median(other, |own, other| own - other)
    }

    fn median(&self, other: &Self, compare: fn(f64, f64) -> f64) -> f64 {
        let rounds = self.rounds.iter().zip(&other.rounds);
        let mut compared: Vec<f64> = rounds.map(|(own, other)| compare(*own, *other)).collect();
        quartile(&mut compared, 2)
    }
}

impl<'a> Runner<'a> {
    pub(crate) fn new(name: &str, proxy: &'a Proxy, load: Load) -> Self {
        Self {
            name: name.to_owned(),
            proxy,
            load,
            micros: Vec::new(),
            rates: Vec::new(),
        }
    }
}

/// Runs them in turn, round by round, there and back; a first round is for warming up.
pub(crate) async fn race(plan: &Plan, mut runners: Vec<Runner<'_>>) -> Vec<Score> {
    for round in 0..=plan.rounds {
        for runner in &mut runners {
            let before = process::cpu(runner.proxy.id());
            let turns = runner.load.run(runner.proxy, plan.round).await;
            let used = process::cpu(runner.proxy.id()).saturating_sub(before);
            if round > 0 {
                let turns = f64::from(u32::try_from(turns).expect("a count"));
                runner.micros.push(used.as_secs_f64() * 1e6 / turns);
                runner.rates.push(turns / plan.round.as_secs_f64());
            }
        }
        runners.reverse();
    }
    if plan.rounds.is_multiple_of(2) {
        runners.reverse();
    }
    runners.into_iter().map(Runner::score).collect()
}

impl Runner<'_> {
    fn score(mut self) -> Score {
        let rounds = self.micros.clone();
        let micros = quartile(&mut self.micros, 2);
        let width = quartile(&mut self.micros, 3) - quartile(&mut self.micros, 1);
        Score {
            name: self.name,
            micros,
            rate: quartile(&mut self.rates, 2),
            spread: width / micros,
            rounds,
        }
    }
}

fn quartile(values: &mut [f64], quarter: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() * quarter / 4).min(values.len().saturating_sub(1));
    values.get(index).copied().unwrap_or_default()
}
