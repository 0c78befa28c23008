//! An explanation as lines for people.

use std::fmt;

use super::{Explanation, OwnAnswer, RouteView};

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.method, self.url)?;
        writeln!(f, "  host      {}", self.host)?;
        writeln!(f, "  path      {}", self.path)?;
        if let (Some(by), Some(route)) = (&self.by, &self.route) {
            writeln!(f, "  matched   {by}")?;
            writeln!(f, "  ingress   {}", route.ingress)?;
            let chain = if route.filters.is_empty() {
                "none".to_owned()
            } else {
                route.filters.join(", ")
            };
            writeln!(f, "  filters   {chain}")?;
            for filter in &route.chain {
                write!(f, "  filter    {}: ", filter.name)?;
                match (&filter.plugin, filter.reason) {
                    (None, _) => write!(f, "there is no such plugin")?,
                    (Some(plugin), None) => write!(f, "the plugin {plugin}")?,
                    (Some(plugin), Some(reason)) => write!(f, "the plugin {plugin} ({reason})")?,
                }
                writeln!(f, ", by {}", filter.from)?;
            }
            writeln!(
                f,
                "  backend   {}:{}",
                route.backend.service, route.backend.port
            )?;
            for endpoint in &route.endpoints {
                writeln!(f, "  endpoint  {} {}", endpoint.address, endpoint.state)?;
            }
        }
        match &self.answer {
            Some(OwnAnswer {
                status,
                reason: Some(reason),
                message,
                ..
            }) => {
                writeln!(f, "  answer    {status} {reason}: {message}")?;
            }
            Some(OwnAnswer {
                status, message, ..
            }) => writeln!(f, "  answer    {status}, {message}")?,
            None if self
                .route
                .as_ref()
                .is_some_and(|route| !route.chain.is_empty()) =>
            {
                writeln!(
                    f,
                    "  answer    the backend's, unless a filter decides otherwise"
                )?;
            }
            None => writeln!(f, "  answer    the backend's")?,
        }
        for other in &self.others {
            let RouteView {
                host,
                path,
                path_type,
                ingress,
                ..
            } = &other.route;
            writeln!(
                f,
                "  not       {ingress}: host {host}, path {path} ({path_type}): {}",
                other.lost
            )?;
        }
        Ok(())
    }
}
