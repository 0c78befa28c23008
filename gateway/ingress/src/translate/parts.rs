//! A route out of what its Ingress says.

use std::{collections::HashSet, sync::Arc};

use route::{Backend, FilterRef, HostPattern, IngressName, Route};

use crate::{
    annotations::{Redirect, Settings},
    objects::model::Ingress,
};

/// What differs between the routes of an Ingress.
pub(super) struct Parts<'p> {
    /// The rule's path as written; `/` for a default backend.
    pub(super) path: &'p str,
    /// The rule's host; any for the catch-all.
    pub(super) host: &'p HostPattern,
    pub(super) backend: Backend,
    pub(super) filters: Arc<[FilterRef]>,
    /// Whether plain HTTP is redirected.
    pub(super) redirect: bool,
}

/// Makes a route.
pub(super) fn route(ingress: &Ingress, settings: &Settings, parts: Parts<'_>) -> Route {
    let Settings {
        chain: _,
        limits: _,
        affinity: _,
        protocol,
        redirect: _,
        hsts,
        max_body,
        connect_timeout,
        response_timeout,
        idle_timeout,
        role: _,
    } = settings;
    let Parts {
        path,
        host,
        backend,
        filters,
        redirect,
    } = parts;
    Route {
        ingress: IngressName {
            namespace: ingress.subject.namespace.clone(),
            name: ingress.subject.name.clone(),
        },
        rule_path: path.to_owned(),
        rule_host: match host {
            HostPattern::Any => String::new(),
            HostPattern::Exact(_) | HostPattern::Wildcard(_) => host.to_string(),
        },
        backend,
        filters,
        protocol: *protocol,
        ssl_redirect: redirect,
        hsts: hsts.clone(),
        max_body: *max_body,
        connect_timeout: *connect_timeout,
        response_timeout: *response_timeout,
        idle_timeout: *idle_timeout,
    }
}

/// Whether an Ingress redirects the plain HTTP of a host.
pub(super) fn redirects(
    tls: &HashSet<HostPattern>,
    settings: &Settings,
    host: &HostPattern,
) -> bool {
    match settings.redirect {
        Redirect::Always => true,
        Redirect::Never => false,
        Redirect::WithTls => {
            tls.contains(host)
                || match host {
                    HostPattern::Exact(name) => name.split_once('.').is_some_and(|(_, rest)| {
                        tls.contains(&HostPattern::Wildcard(rest.to_owned()))
                    }),
                    HostPattern::Wildcard(_) | HostPattern::Any => false,
                }
        }
    }
}
