//! The log of guests: short lines, few of them, with who wrote them.

use wasmtime::Result;

use super::{Guest, wit};
use crate::{flood::Line, text::line};
use wit::log::Level;

impl wit::log::Host for Guest {
    fn enabled(&mut self, level: Level) -> Result<bool> {
        self.count()?;
        Ok(is_shown(level))
    }

    fn write(&mut self, level: Level, message: String) -> Result<()> {
        self.count()?;
        let Some(left) = self.lines_left.checked_sub(1) else {
            return Ok(());
        };
        self.lines_left = left;
        let line = line(&message, LENGTH);
        if level == Level::Error {
            self.said = Some(line.clone());
        }
        // What is not shown must not push out what is.
        if !is_shown(level) || self.floods() {
            return Ok(());
        }
        let filter = self
            .attachment
            .as_ref()
            .map(|attachment| attachment.scope());
        let plugin = &*self.name;
        let facts = self.exchange.as_ref().map(|exchange| &exchange.facts);
        let namespace = facts.map(|facts| facts.route.ingress.namespace.as_str());
        let ingress = facts.map(|facts| facts.route.ingress.name.as_str());
        let request = facts.map(|facts| facts.id.to_str().unwrap_or_default());
        match level {
            Level::Debug => {
                tracing::debug!(target: TARGET, plugin, filter, namespace, ingress, request, "{line}");
            }
            Level::Info => {
                tracing::info!(target: TARGET, plugin, filter, namespace, ingress, request, "{line}");
            }
            Level::Warn => {
                tracing::warn!(target: TARGET, plugin, filter, namespace, ingress, request, "{line}");
            }
            Level::Error => {
                tracing::error!(target: TARGET, plugin, filter, namespace, ingress, request, "{line}");
            }
        }
        Ok(())
    }
}

fn is_shown(level: Level) -> bool {
    match level {
        Level::Debug => tracing::enabled!(target: TARGET, tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(target: TARGET, tracing::Level::INFO),
        Level::Warn => tracing::enabled!(target: TARGET, tracing::Level::WARN),
        Level::Error => tracing::enabled!(target: TARGET, tracing::Level::ERROR),
    }
}

impl Guest {
    /// Whether the plugin, on all workers together, writes more than anyone reads.
    fn floods(&self) -> bool {
        let Some(attachment) = &self.attachment else {
            return false;
        };
        let plugin = attachment.plugin();
        match plugin.shared().lines().line() {
            Line::LeftOut => true,
            Line::Written { left_out: 0 } => false,
            Line::Written { left_out } => {
                let plugin = &**plugin.name();
                tracing::warn!(target: TARGET, plugin, left_out, "further lines of it were left out");
                false
            }
        }
    }
}

/// How many lines one call may write.
pub(super) const LINES: u32 = 20;
/// The longest line.
const LENGTH: usize = 1 << 10;
const TARGET: &str = "plugin";
