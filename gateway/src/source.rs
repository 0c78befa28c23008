//! Where objects come from: a folder of manifests, or a cluster.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use anyhow::bail;
use ingress::{
    Cluster, Folder, Leave, Objects, Options, PluginState, Problem, Publishing, Watch, WatchState,
};

use crate::cli::Origin;

/// A source of objects that is watched.
pub(crate) enum Source {
    Folder(Box<Folder>, Watch),
    Cluster(Box<Cluster>),
}

impl Source {
    /// Opens and watches a source without reading it: no change falls between the two. What depends on
    /// where it is goes into the options.
    pub(crate) fn open(
        origin: Origin,
        options: &mut Options,
        publishing: Publishing,
    ) -> anyhow::Result<Self> {
        match origin {
            Origin::Manifests(paths) => {
                let mut folder = open_folder(paths)?;
                if let Some(plugins) = &options.plugin_folder {
                    folder.watch_also(plugins);
                }
                let watch = folder.watch()?;
                Ok(Self::Folder(Box::new(folder), watch))
            }
            Origin::Cluster(access) => {
                let cluster = Cluster::connect(&access, options, publishing)?;
                options.loopback = cluster.is_local();
                Ok(Self::Cluster(Box::new(cluster)))
            }
        }
    }

    /// What ends a [`Self::wait`] from elsewhere.
    pub(crate) fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        match self {
            Self::Folder(_, watch) => {
                let waker = watch.waker();
                Arc::new(move || waker.wake())
            }
            Self::Cluster(cluster) => Arc::new(cluster.waker()),
        }
    }

    /// Blocks until something changed.
    pub(crate) fn wait(&mut self) {
        match self {
            Self::Folder(_, watch) => watch.wait(),
            Self::Cluster(cluster) => cluster.wait(),
        }
    }

    /// Reads what changed into `objects`, always the same ones; gives the problems of the source.
    pub(crate) fn read(&mut self, objects: &mut Objects, options: &Options) -> Vec<Problem> {
        match self {
            Self::Folder(folder, _) => folder.read(objects),
            Self::Cluster(cluster) => cluster.read(objects, options),
        }
    }

    /// Whether what was read last is other than what was read before it.
    pub(crate) fn changed(&self) -> bool {
        match self {
            Self::Folder(..) => true,
            Self::Cluster(cluster) => cluster.changed(),
        }
    }

    /// Whether all that can change are objects: beside manifests there may be the files of plugins.
    pub(crate) fn has_objects_only(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Whether everything that there is was read once.
    pub(crate) fn is_complete(&self) -> bool {
        match self {
            Self::Folder(..) => true,
            Self::Cluster(cluster) => cluster.is_complete(),
        }
    }

    /// Takes note that what was read last is live, with these problems and plugins.
    pub(crate) fn published(&self, problems: &Arc<Vec<Problem>>, plugins: Vec<PluginState>) {
        match self {
            Self::Folder(..) => {}
            Self::Cluster(cluster) => cluster.published(problems, plugins),
        }
    }

    /// What ends the writing into a cluster.
    pub(crate) fn leave(&mut self) -> Option<Leave> {
        match self {
            Self::Folder(..) => None,
            Self::Cluster(cluster) => Some(cluster.leave()),
        }
    }

    /// How the kinds of a cluster are watched.
    pub(crate) fn watches(&self) -> Vec<WatchState> {
        match self {
            Self::Folder(..) => Vec::new(),
            Self::Cluster(cluster) => cluster.watches(),
        }
    }

    /// The addresses of the API server, which no plugin may reach.
    pub(crate) fn api_server(&self, objects: &Objects) -> Vec<IpAddr> {
        match self {
            Self::Folder(..) => Vec::new(),
            Self::Cluster(cluster) => cluster.addresses(objects),
        }
    }
}

/// Opens folders of manifests. A file alone would be a trap: editors replace files.
pub(crate) fn open_folder(manifests: Vec<PathBuf>) -> anyhow::Result<Folder> {
    let file = manifests.iter().find(|path| path.is_file());
    if let Some(path) = file {
        bail!(
            "the manifests at {} are a file; write the folder that holds it",
            path.display()
        );
    }
    Ok(Folder::open(manifests)?)
}
