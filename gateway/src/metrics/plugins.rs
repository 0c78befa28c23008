//! Metrics of plugins: of their instances, and those that they count themselves.

use std::{collections::BTreeMap, fmt::Write};

use wasm::{Counted, InstanceCounts, Sample};

use super::family;
use crate::filters::PluginView;

/// Writes them all.
pub(super) fn text(out: &mut String, plugins: &[PluginView]) {
    for (name, kind, help, value) in OWN {
        let samples: String = plugins.iter().fold(String::new(), |text, plugin| {
            let value = value(plugin.is_ready(), &plugin.shared().instances());
            text + &format!("{name}{{plugin=\"{}\"}} {value}\n", escaped(plugin.name()))
        });
        family(out, name, kind, help, &samples);
    }

    // Of one name there is one family, whoever counts under it.
    let mut families: BTreeMap<String, (&'static str, String)> = BTreeMap::new();
    for plugin in plugins {
        for sample in plugin.shared().samples() {
            let (name, kind) = match &sample.value {
                Counted::Counter(_) => (format!("plugin_{}_total", sample.name), "counter"),
                Counted::Histogram { .. } => (format!("plugin_{}", sample.name), "histogram"),
            };
            let (known, lines) = families
                .entry(name.clone())
                .or_insert_with(|| (kind, String::new()));
            if *known == kind {
                write_sample(lines, &name, plugin.name(), &sample);
            }
        }
    }
    for (name, (kind, lines)) in families {
        family(out, &name, kind, "Counted by plugins.", &lines);
    }
}

type Own = (
    &'static str,
    &'static str,
    &'static str,
    fn(bool, &InstanceCounts) -> u64,
);

const OWN: [Own; 5] = [
    (
        "portcullis_plugin_ready",
        "gauge",
        "Whether the newest version of a plugin runs.",
        |ready, _| u64::from(ready),
    ),
    (
        "portcullis_plugin_instances",
        "gauge",
        "Instances of a plugin.",
        |_, counts| counts.alive as u64,
    ),
    (
        "portcullis_plugin_memory_bytes",
        "gauge",
        "Memory of a plugin's instances.",
        |_, counts| counts.memory as u64,
    ),
    (
        "portcullis_plugin_instances_made_total",
        "counter",
        "Instances of a plugin ever made.",
        |_, counts| counts.made,
    ),
    (
        "portcullis_plugin_instances_failed_total",
        "counter",
        "Instances of a plugin that ended with a failure.",
        |_, counts| counts.failed,
    ),
];

fn write_sample(out: &mut String, name: &str, plugin: &str, sample: &Sample) {
    let mut labels = format!("plugin=\"{}\"", escaped(plugin));
    for (label, value) in &sample.labels {
        // These two are ours.
        let ours = matches!(label.as_str(), "plugin" | "le");
        let prefix = if ours { "label_" } else { "" };
        // Writing to a string does not fail.
        let _ = write!(labels, ",{prefix}{label}=\"{}\"", escaped(value));
    }
    let _ = match &sample.value {
        Counted::Counter(sum) => writeln!(out, "{name}{{{labels}}} {sum}"),
        Counted::Histogram {
            buckets,
            count,
            sum,
        } => {
            let mut below = 0;
            for (bound, values) in buckets {
                below += values;
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
            }
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
            let _ = writeln!(out, "{name}_sum{{{labels}}} {sum}");
            writeln!(out, "{name}_count{{{labels}}} {count}")
        }
    };
}

/// As values of labels are written.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_plugins_count_stands_in_the_text_format() {
        let labels = vec![
            ("path".to_owned(), "a\"b\\\n".to_owned()),
            ("le".to_owned(), "x".to_owned()),
        ];
        let sample = |value| Sample {
            name: "seen".to_owned(),
            labels: labels.clone(),
            value,
        };
        let mut out = String::new();
        write_sample(
            &mut out,
            "plugin_seen_total",
            "a/b",
            &sample(Counted::Counter(3)),
        );
        let all = "plugin=\"a/b\",path=\"a\\\"b\\\\\\n\",label_le=\"x\"";
        assert_eq!(out, format!("plugin_seen_total{{{all}}} 3\n"));

        let histogram = Counted::Histogram {
            buckets: vec![(0.5, 1), (2.0, 2)],
            count: 4,
            sum: 9.5,
        };
        let mut out = String::new();
        write_sample(&mut out, "plugin_seen", "a/b", &sample(histogram));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[1], format!("plugin_seen_bucket{{{all},le=\"2\"}} 3"));
        assert_eq!(
            lines[2],
            format!("plugin_seen_bucket{{{all},le=\"+Inf\"}} 4")
        );
        assert_eq!(lines[4], format!("plugin_seen_count{{{all}}} 4"));
    }
}
