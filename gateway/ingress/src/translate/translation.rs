//! A translation that is kept, so that endpoints which come and go need no other one.

use std::{collections::BTreeSet, sync::Arc};

use route::{Cluster, ClusterId, Config};

use crate::{
    objects::{
        Objects,
        model::{ServicePort, Transport},
    },
    problem::Problem,
};

use super::{
    Options,
    backend::{Place, Spot},
    build, endpoint,
};

/// What became of all objects at one time.
#[derive(Clone, Debug)]
pub struct Translation {
    /// What is to be served.
    pub config: Arc<Config>,
    /// What is wrong, by file and line.
    pub problems: Vec<Problem>,
    /// The clusters whose endpoints there is a problem with.
    troubled: BTreeSet<ClusterId>,
}

impl Translation {
    /// Translates all objects.
    pub fn new(objects: &Objects, options: &Options) -> Self {
        let (config, problems, troubled) = build(objects, options);
        Self {
            config: Arc::new(config),
            problems,
            troubled,
        }
    }

    /// The clusters of these Services (by namespace and name) as they are now, where their endpoints are all that
    /// changed since. `None` if there is, or was, something wrong with them: problems are told where backends are
    /// named, and only a new translation knows where.
    pub fn endpoints(
        &self,
        objects: &Objects,
        options: &Options,
        services: &BTreeSet<(String, String)>,
    ) -> Option<Vec<(ClusterId, Cluster)>> {
        let mut all = Vec::new();
        for (namespace, name) in services {
            let first = ClusterId {
                namespace: namespace.clone(),
                service: name.clone(),
                port: 0,
            };
            let own = |id: &ClusterId| id.namespace == *namespace && id.service == *name;
            let clusters = self.config.clusters.range(first..);
            for (id, before) in clusters.take_while(|(id, _)| own(id)) {
                // The endpoints of an ExternalName are not its slices'.
                if before.external.is_some() {
                    continue;
                }
                if self.troubled.contains(id) {
                    return None;
                }
                all.push((id.clone(), cluster(objects, options, id)?));
            }
        }
        Some(all)
    }
}

fn cluster(objects: &Objects, options: &Options, id: &ClusterId) -> Option<Cluster> {
    let service = objects.services.find(&id.namespace, &id.service)?;
    let own = |port: &&ServicePort| port.transport == Transport::Tcp && port.number == id.port;
    let mut ports = service.ports.iter().filter(own);
    // Of two with one number, which one it is depends on who named it first.
    let (Some(port), None) = (ports.next(), ports.next()) else {
        return None;
    };
    let mut problems = Vec::new();
    let mut place = Place {
        subject: &service.subject,
        spot: Spot::Default,
        problems: &mut problems,
    };
    let cluster = endpoint::cluster(objects, options, (service, port), &mut place);
    problems.is_empty().then_some(cluster)
}
