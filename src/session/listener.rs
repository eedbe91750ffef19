//! Who listens at an endpoint, and who started it.

use super::orphans::{Identity, identify};
use crate::net::Endpoint;

/// A process that somebody else started, and the one that did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its number.
    pub pid: u32,
    parent: Option<Parent>,
}

/// Who started it, or has taken it over.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parent {
    pid: i32,
    /// `None`: another user's, about whom the system tells no more; or it has just ended.
    identity: Option<Identity>,
}

impl Listener {
    /// The process behind an endpoint, where the system tells.
    pub fn of(endpoint: &Endpoint) -> Option<Self> {
        let pid = system::listener(endpoint)?;
        let parent = system::parent(pid).filter(|parent| *parent > 0);
        let parent = parent.map(|pid| Parent { pid, identity: identify(pid) });
        Some(Self { pid: pid.cast_unsigned(), parent })
    }

    /// Who started it, to wait for.
    pub(super) fn parent(&self) -> Option<&Identity> {
        self.parent.as_ref()?.identity.as_ref()
    }

    /// Where it was started.
    pub fn folder(&self) -> Option<std::path::PathBuf> {
        // The tool's, where it is there: a tool may start its processes in folders of its own.
        let pid = self.parent.as_ref().map_or(self.pid.cast_signed(), |parent| parent.pid);
        std::fs::read_link(format!("/proc/{pid}/cwd")).ok()
    }

    /// Whether the tool that started it has gone, and init or a session manager took it over. Nobody updates such a
    /// process any more, and it serves old code for as long as it lives.
    pub fn is_orphan(&self) -> bool {
        let Some(Parent { pid, identity }) = &self.parent else { return false };
        let executable = identity.as_ref().and_then(|identity| identity.executable.file_name());
        // That of an init which belongs to root cannot be read; a tool that started it is of our own user.
        let name = executable.and_then(|name| name.to_str()).unwrap_or_default();
        // In a container the tool itself may be the first process.
        let is_tool = matches!(name, "node" | "bun" | "deno" | "workerd");
        !is_tool && (*pid == 1 || matches!(name, "systemd" | "init" | "launchd"))
    }
}

/// Who started a process, where the system tells.
pub(super) fn parent(pid: i32) -> Option<i32> {
    system::parent(pid)
}

#[cfg(target_os = "linux")]
mod system {
    use std::os::unix::fs::MetadataExt;

    use crate::net::Endpoint;

    /// A socket that listens, in /proc/net/tcp.
    const LISTEN: &str = "0A";

    pub(super) fn listener(endpoint: &Endpoint) -> Option<i32> {
        match endpoint {
            Endpoint::Unix(_) => {
                let socket = endpoint.connect().ok()?;
                Some(rustix::net::sockopt::socket_peercred(&socket).ok()?.pid.as_raw_nonzero().get())
            }
            Endpoint::Tcp(address) => owner(inode(address.port())?),
        }
    }

    fn inode(port: u16) -> Option<u64> {
        let ours = rustix::process::geteuid().as_raw().to_string();
        let wanted = format!(":{port:04X}");
        let find = |table: &str| {
            let text = std::fs::read_to_string(table).ok()?;
            // sl local_address rem_address st queues timer retransmits uid timeout inode
            text.lines().skip(1).find_map(|line| {
                let fields: Vec<_> = line.split_whitespace().collect();
                let matches = fields.get(1)?.ends_with(&wanted) && *fields.get(3)? == LISTEN;
                (matches && *fields.get(7)? == ours).then(|| fields.get(9)?.parse().ok())?
            })
        };
        find("/proc/net/tcp").or_else(|| find("/proc/net/tcp6"))
    }

    /// The process of ours that has the socket open.
    fn owner(inode: u64) -> Option<i32> {
        let us = rustix::process::geteuid().as_raw();
        let socket = format!("socket:[{inode}]");
        let processes = std::fs::read_dir("/proc").ok()?.flatten();
        let ours = processes.filter(|process| process.metadata().is_ok_and(|meta| meta.uid() == us));
        ours.filter_map(|process| Some((process.file_name().to_str()?.parse().ok()?, process.path())))
            .find(|(_, folder): &(i32, _)| {
                let files = std::fs::read_dir(folder.join("fd")).into_iter().flatten().flatten();
                files.into_iter().any(|file| {
                    std::fs::read_link(file.path()).is_ok_and(|link| link.to_str() == Some(socket.as_str()))
                })
            })
            .map(|(pid, _)| pid)
    }

    pub(super) fn parent(pid: i32) -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name in parentheses, which may hold anything: state, parent.
        stat.get(stat.rfind(')')? + 1..)?.split_whitespace().nth(1)?.parse().ok()
    }
}

/// Elsewhere the end of a connection has to do.
#[cfg(not(target_os = "linux"))]
mod system {
    use crate::net::Endpoint;

    pub(super) fn listener(_endpoint: &Endpoint) -> Option<i32> {
        None
    }

    pub(super) fn parent(_pid: i32) -> Option<i32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_listener_of_ours_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::tcp(listener.local_addr().unwrap()).unwrap();
        let found = Listener::of(&endpoint).unwrap();
        assert_eq!(found.pid, std::process::id());
        assert_eq!(found.parent().unwrap().pid, rustix::process::getppid().unwrap().as_raw_nonzero().get());
        drop(listener);
        assert_eq!(Listener::of(&endpoint), None);
    }

    #[test]
    fn init_is_a_parent_only_of_orphans() {
        let child = |pid, executable: &str| {
            let identity = Identity { pid, started: "1".into(), executable: executable.into() };
            let parent = Parent { pid, identity: (!executable.is_empty()).then_some(identity) };
            Listener { pid: 9, parent: Some(parent) }.is_orphan()
        };
        assert!(child(1, "/sbin/init") && child(1, "/usr/bin/tini") && child(70, "/usr/lib/systemd/systemd"));
        assert!(child(1, "") && !child(70, ""), "whose executable cannot be read");
        assert!(!child(1, "/usr/bin/node") && !child(70, "/usr/bin/node") && !child(70, "/bin/bash"));
    }
}
