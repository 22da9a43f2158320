//! Whom Postgres runs as: it refuses root.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use super::{EmbeddedError, doing};

/// Users without rights that a machine may have, the better one first.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// Whom the processes of a cluster run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    uid: u32,
    gid: u32,
    /// Whether processes must be told so: we are root.
    drop_to: bool,
}

impl User {
    /// We ourselves; as root, the owner of the cluster that is there, else an unprivileged user.
    pub(super) fn choose(data: &Path) -> Result<Self, EmbeddedError> {
        let uid = rustix::process::geteuid().as_raw();
        if uid != 0 {
            let gid = rustix::process::getegid().as_raw();
            return Ok(Self {
                uid,
                gid,
                drop_to: false,
            });
        }
        if let Some(owner) = fs::metadata(data).ok().filter(|data| data.uid() != 0) {
            return Ok(Self {
                uid: owner.uid(),
                gid: owner.gid(),
                drop_to: true,
            });
        }
        let passwd = fs::read_to_string("/etc/passwd").map_err(doing("reading /etc/passwd"))?;
        let (uid, gid) = UNPRIVILEGED
            .into_iter()
            .find_map(|name| ids_of(name, &passwd))
            .ok_or(EmbeddedError::NoUnprivilegedUser)?;
        Ok(Self {
            uid,
            gid,
            drop_to: true,
        })
    }

    pub(super) fn uid(self) -> u32 {
        self.uid
    }

    /// A command that runs as this user, in a folder that every user may enter.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env("LC_ALL", "C");
        if self.drop_to {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives `path` to this user.
    pub(super) fn own(self, path: &Path) -> Result<(), EmbeddedError> {
        if self.drop_to {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
                .map_err(doing(format!("changing the owner of {}", path.display())))?;
        }
        Ok(())
    }

    /// Whether this user gets to `folder` through all the folders above it.
    pub(super) fn can_reach(self, folder: &Path) -> bool {
        !self.drop_to
            || self
                .command(Path::new("/bin/sh"))
                .args(["-c", "cd -- \"$1\"", "sh"])
                .arg(folder)
                .stderr(std::process::Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
    }
}

/// User and group id of `name` in the text of `/etc/passwd`.
fn ids_of(name: &str, passwd: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (found && uid != 0).then_some((uid, gid))
    })
}

/// Runs a command to its end; its output is in the error if it fails.
pub(super) fn run(command: &mut Command) -> Result<(), EmbeddedError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|e: io::Error| doing(format!("running {name}"))(e))?;
    if output.status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(EmbeddedError::Command {
        command: name,
        output: text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_root_never_is() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\nfake:x:0:0::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\n";
        assert_eq!(ids_of("postgres", passwd), Some((101, 104)));
        assert_eq!(ids_of("fake", passwd), None);
        assert_eq!(ids_of("nobody", passwd), None);
    }
}
