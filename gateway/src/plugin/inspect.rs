//! `portcullis plugin inspect`: what a component is, and what it needs to be granted.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::load;
use crate::{
    cli::{Format, InspectFlags},
    say,
};

/// Prints it.
pub(super) fn command(flags: &InspectFlags) -> anyhow::Result<ExitCode> {
    let (_, component) = load(&flags.file)?;
    let info = component.info();
    let schema: Value = serde_json::from_str(&info.schema)?;
    let hooks: Vec<String> = component.hooks().iter().map(ToString::to_string).collect();
    let capabilities = component.capabilities();
    if flags.format == Format::Json {
        let imports: Vec<_> = capabilities.iter().map(|c| c.interface()).collect();
        let grants: Vec<_> = capabilities.iter().map(|c| c.grant()).collect();
        let all = json!({
            "name": info.name,
            "version": info.version,
            "digest": component.digest(),
            "size": component.size(),
            "hooks": hooks,
            "imports": imports,
            "grants": grants,
            "schema": schema,
        });
        say(&format!("{all:#}"));
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("{} {}", info.name, info.version));
    say(&format!("  size    {} bytes", component.size()));
    say(&format!("  sha256  {}", component.digest()));
    say(&format!("  hooks   {}", hooks.join(", ")));
    if capabilities.is_empty() {
        say("  grants  none needed");
    }
    for capability in capabilities {
        let (interface, grant) = (capability.interface(), capability.grant());
        say(&format!("  grant   {grant}    (for {interface})"));
    }
    say("  schema of its configuration:");
    say(&format!("{schema:#}"));
    Ok(ExitCode::SUCCESS)
}
