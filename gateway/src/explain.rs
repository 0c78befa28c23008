//! `portcullis explain`: where a request goes and why, decided by the data plane's own code.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use http::StatusCode;
use ingress::{Mode, Options, Severity};
use proxy::{AccessLog, Ask, Explanation, Gateway, Settings};

use crate::{
    ask,
    cli::{ExplainFlags, Format, Mistakes, Reader},
    client, complain,
    filters::{Loader, Patience},
    publish, say, source,
};

/// `portcullis explain URL`.
pub(crate) fn command(flags: ExplainFlags) -> anyhow::Result<ExitCode> {
    let ExplainFlags {
        url,
        method,
        headers,
        manifests,
        admin,
        format,
        reading,
    } = flags;
    let mut reader = Reader::default();
    let options = reading.read(Mode::Manifests, &mut reader);
    let admin = reader.optional_address("--admin", Some(&admin));
    let options = reader.finish(options)?;
    let sandbox = reading.plugins.sandbox(&options.ceilings);
    let ask =
        ask::read(&method, &url, &headers).map_err(|error| Mistakes::one(error.to_string()))?;
    let text = match admin.filter(|_| manifests.is_empty()) {
        Some(admin) => from_gateway(admin, &url, &method, &headers, format)?,
        None => {
            let explanation = from_manifests(manifests, &options, sandbox, &ask)?;
            match format {
                Format::Text => explanation.to_string(),
                Format::Json => serde_json::to_string_pretty(&explanation)?,
            }
        }
    };
    say(text.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Decides by manifests, as a gateway that serves them would.
fn from_manifests(
    manifests: Vec<PathBuf>,
    options: &Options,
    sandbox: wasm::Settings,
    ask: &Ask,
) -> anyhow::Result<Explanation> {
    let names: Vec<String> = manifests
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let mut folder =
        source::open_folder(manifests).map_err(|error| Mistakes::one(error.to_string()))?;
    let mut objects = publish::objects();
    let mut problems = folder.read(&mut objects);
    let (config, found) = ingress::translate(&objects, options);
    let config = Arc::new(config);
    problems.extend(found);
    let mut loader = Loader::new(sandbox, Patience::Endless, Arc::new(|| {}));
    let prepared = loader.prepare(&config);
    let findings = prepared.findings.into_iter();
    problems.extend(findings.map(|finding| finding.problem(&objects)));
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    if errors > 0 {
        complain(&format!(
            "errors in the manifests: {errors}; see `portcullis check {}`",
            names.join(" ")
        ));
    }
    // As `run --manifests` has it by default.
    let settings = Settings::default();
    let redirect_port = Some(settings.https.port());
    let settings = Settings {
        redirect_port,
        external_loopback: true,
        ..settings
    };
    let gateway = Gateway::new(settings, AccessLog::off(), wasm::tidy)?;
    gateway.publish(&config, &prepared.filters);
    Ok(gateway.snapshot().explain(ask))
}

/// Asks a running gateway.
fn from_gateway(
    admin: SocketAddr,
    url: &str,
    method: &str,
    headers: &[String],
    format: Format,
) -> anyhow::Result<String> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("url", url).append_pair("method", method);
    query.extend_pairs(headers.iter().map(|header| ("header", header)));
    if format == Format::Text {
        query.append_pair("format", "text");
    }
    let answer = client::get(admin, &format!("/api/v1/explain?{}", query.finish()));
    let (status, body) = answer.with_context(|| {
        format!(
            "cannot ask the gateway's admin listener at {admin}; start a gateway, write its --admin ADDR, or \
             decide by files with --manifests DIR"
        )
    })?;
    let body = String::from_utf8_lossy(&body).into_owned();
    anyhow::ensure!(
        status == StatusCode::OK,
        "the admin listener at {admin} answered {status}: {}",
        body.trim()
    );
    match format {
        Format::Text => Ok(body),
        Format::Json => {
            let value: serde_json::Value = serde_json::from_str(&body)?;
            Ok(format!("{value:#}"))
        }
    }
}
