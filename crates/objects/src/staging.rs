//! Uploads that are not complete: their pieces lie in the store as objects of their own, so that they survive the process
//! and any node can go on with them. When the last byte is there, the pieces become the object.

use api::ports::objects::ObjectKey;
use bytes::{Bytes, BytesMut};
use events::Timestamp;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use http::StatusCode;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _, PutMode, PutPayload};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;

use crate::answer::Refused;
use crate::forms::path;
use crate::{Objects, PATIENCE, PIECE};

/// Everything that is not complete is in here. No key leads here.
const FOLDER: &str = "uploads";
/// What an upload says of itself when it begins.
const HEAD: &str = "head";

/// An upload that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// How many bytes it will have.
    pub(crate) length: u64,
    /// Until when it can go on, in milliseconds.
    pub(crate) until: Timestamp,
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing is known of it.
    Unknown,
    /// It can go on from here.
    At {
        offset: u64,
        length: u64,
        until: Timestamp,
    },
    /// Its time is over.
    Expired,
    /// It is an object.
    Complete { length: u64 },
}

/// What came of the bytes of one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Brought {
    /// They are kept, as far as this.
    Kept { offset: u64 },
    /// There were more than the upload has.
    TooMany,
    /// They were not those of the checksum, and are thrown away.
    Mismatch,
}

/// What a client promises of the bytes of one request.
pub(crate) struct Checksum {
    pub(crate) hasher: Hasher,
    pub(crate) expected: Vec<u8>,
}

/// The algorithms of [`Checksum`].
pub(crate) enum Hasher {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Hasher {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher) => sha1::Digest::update(hasher, bytes),
            Self::Sha256(hasher) => sha2::Digest::update(hasher, bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha1(hasher) => sha1::Digest::finalize(hasher).to_vec(),
            Self::Sha256(hasher) => sha2::Digest::finalize(hasher).to_vec(),
        }
    }
}

/// The right to write to an upload; one has it at a time on this node.
pub(crate) struct Turn {
    objects: Objects,
    folder: Path,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.objects.busy().remove(&self.folder);
    }
}

fn folder(key: &ObjectKey) -> Path {
    Path::from(format!("{FOLDER}/{key}"))
}

/// Pieces are named by where they begin, so that their order is that of their names.
fn piece(folder: &Path, offset: u64) -> Path {
    folder.clone().join(format!("{offset:020}"))
}

impl Objects {
    fn busy(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<Path>> {
        self.0
            .busy
            .lock()
            .expect("nothing panics while the set is locked")
    }

    /// Takes the right to write to an upload.
    pub(crate) fn take_turn(&self, key: &ObjectKey) -> Result<Turn, Refused> {
        let folder = folder(key);
        if !self.busy().insert(folder.clone()) {
            return Err(Refused::new(
                StatusCode::LOCKED,
                "somebody is writing to this upload",
            ));
        }
        Ok(Turn {
            objects: self.clone(),
            folder,
        })
    }

    /// How far an upload is. One whose last byte came, and that did not become an object for lack of time, does so now.
    pub(crate) async fn standing(&self, key: &ObjectKey) -> Result<Standing, Refused> {
        let begun = match self.store().get(&folder(key).join(HEAD)).await {
            Ok(found) => found.bytes().await?,
            Err(Error::NotFound { .. }) => {
                return match self.store().head(&path(key)).await {
                    Ok(meta) => Ok(Standing::Complete { length: meta.size }),
                    Err(Error::NotFound { .. }) => Ok(Standing::Unknown),
                    Err(error) => Err(error.into()),
                };
            }
            Err(error) => return Err(error.into()),
        };
        let Ok(Begun { length, until }) = serde_json::from_slice(&begun) else {
            return Ok(Standing::Unknown);
        };
        if self.now() >= until {
            return Ok(Standing::Expired);
        }
        let offset = self.pieces(key).await?.last().map_or(0, |(_, end)| *end);
        Ok(Standing::At {
            offset,
            length,
            until,
        })
    }

    /// The pieces that follow each other from the beginning, each with the offset of its end.
    async fn pieces(&self, key: &ObjectKey) -> Result<Vec<(Path, u64)>, Refused> {
        let folder = folder(key);
        let listed: Vec<_> = self.store().list(Some(&folder)).try_collect().await?;
        let mut sized: Vec<_> = listed
            .into_iter()
            .filter(|meta| meta.location.filename() != Some(HEAD))
            .map(|meta| (meta.location, meta.size))
            .collect();
        sized.sort_unstable();
        let mut end = 0;
        let in_order = sized.into_iter().map_while(|(location, size)| {
            let follows = location == piece(&folder, end);
            end += size;
            follows.then_some((location, end))
        });
        Ok(in_order.collect())
    }

    /// Begins an upload, from nothing also if it had begun before.
    pub(crate) async fn begin(&self, turn: &Turn, begun: &Begun) -> Result<(), Refused> {
        self.discard(&turn.folder).await?;
        let json = serde_json::to_vec(begun).expect("two numbers are JSON");
        let head = turn.folder.clone().join(HEAD);
        self.store().put(&head, PutPayload::from(json)).await?;
        Ok(())
    }

    /// Takes bytes from `offset` on. What came before a break is kept, unless a checksum had to be fulfilled.
    pub(crate) async fn bring<E>(
        &self,
        turn: &Turn,
        mut offset: u64,
        length: u64,
        mut checksum: Option<Checksum>,
        bytes: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Brought, Refused> {
        let start = offset;
        let mut bytes = std::pin::pin!(bytes);
        let mut held = BytesMut::new();
        let mut written = Vec::new();
        let mut complete = true;
        let mut too_many = false;
        loop {
            let portion = match tokio::time::timeout(PATIENCE, bytes.next()).await {
                Ok(Some(Ok(portion))) => portion,
                Ok(None) => break,
                Ok(Some(Err(_))) | Err(_) => {
                    complete = false;
                    break;
                }
            };
            let seen = offset + u64::try_from(held.len() + portion.len()).expect("both are small");
            if seen > length {
                too_many = true;
                break;
            }
            if let Some(checksum) = &mut checksum {
                checksum.hasher.update(&portion);
            }
            held.extend_from_slice(&portion);
            if held.len() >= PIECE {
                offset = self.keep(turn, offset, held.split(), &mut written).await?;
            }
        }
        let fulfilled = checksum.is_none_or(|sum| complete && sum.hasher.finish() == sum.expected);
        let thrown_away = match (too_many, fulfilled) {
            (true, _) => Some(Brought::TooMany),
            (false, false) => Some(Brought::Mismatch),
            (false, true) => None,
        };
        if let Some(thrown_away) = thrown_away {
            for piece in written {
                self.store().delete(&piece).await?;
            }
            return Ok(thrown_away);
        }
        if !held.is_empty() {
            offset = self.keep(turn, offset, held, &mut written).await?;
        }
        tracing::debug!(from = start, to = offset, length, complete, "upload");
        Ok(Brought::Kept { offset })
    }

    async fn keep(
        &self,
        turn: &Turn,
        offset: u64,
        bytes: BytesMut,
        written: &mut Vec<Path>,
    ) -> Result<u64, Refused> {
        let end = offset + u64::try_from(bytes.len()).expect("a piece is small");
        let path = piece(&turn.folder, offset);
        let payload = PutPayload::from_bytes(bytes.freeze());
        match self
            .store()
            .put_opts(&path, payload, PutMode::Create.into())
            .await
        {
            Ok(_) => {
                written.push(path);
                Ok(end)
            }
            // Another node has taken the same bytes.
            Err(Error::AlreadyExists { .. }) => Err(Refused::new(
                StatusCode::CONFLICT,
                "the upload has gone on elsewhere",
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the object from its pieces.
    pub(crate) async fn complete(&self, turn: &Turn, key: &ObjectKey) -> Result<(), Refused> {
        let mut object = BufWriter::with_capacity(self.store().clone(), path(key), 2 * PIECE)
            .with_max_concurrency(2);
        for (piece, _) in self.pieces(key).await? {
            let mut bytes = self.store().get(&piece).await?.into_stream();
            while let Some(portion) = bytes.try_next().await? {
                object.put(portion).await?;
            }
        }
        object.shutdown().await.map_err(|error| {
            Refused::from(Error::Generic {
                store: "object",
                source: error.into(),
            })
        })?;
        self.discard(&turn.folder).await
    }

    /// Gives an upload up.
    pub(crate) async fn abandon(&self, turn: &Turn) -> Result<(), Refused> {
        self.discard(&turn.folder).await
    }

    /// Removes what there is of an upload.
    async fn discard(&self, folder: &Path) -> Result<(), Refused> {
        let pieces = self.store().list(Some(folder)).map_ok(|meta| meta.location);
        let removed = self.store().delete_stream(pieces.boxed());
        let outcomes: Vec<_> = removed.collect().await;
        for outcome in outcomes {
            match outcome {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes uploads whose time is over. Returns how many.
    pub async fn sweep(&self) -> Result<usize, object_store::Error> {
        let mut swept = 0;
        let everything = Path::from(FOLDER);
        let mut listed = self.store().list(Some(&everything));
        while let Some(meta) = listed.try_next().await? {
            if meta.location.filename() != Some(HEAD) {
                continue;
            }
            let Ok(found) = self.store().get(&meta.location).await else {
                continue;
            };
            let head = found.bytes().await?;
            let over = serde_json::from_slice::<Begun>(&head)
                .map_or(true, |begun| self.now() >= begun.until);
            let parts: Vec<_> = meta.location.parts().collect();
            let folder: Path = parts[..parts.len() - 1].iter().cloned().collect();
            if over && self.discard(&folder).await.is_ok() {
                swept += 1;
            }
        }
        Ok(swept)
    }
}
