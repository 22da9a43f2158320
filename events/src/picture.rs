//! `picture-{name}`: a picture that was put there by somebody who showed a credential for it. Nobody learns whose it is: the
//! name is a commitment that only its owner can tie to an account.

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::values::profile::AvatarKey;

event_family! {
    /// What can happen to such a picture.
    PictureEvent in Picture {
        1 PicturePlaced { }
        2 PictureRemoved { }
    }
}

/// A picture is announced, in the place of an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PicturePlaced {
    /// Where it will be.
    pub key: AvatarKey,
    /// Where the earlier one was.
    pub replaces: Option<AvatarKey>,
}

/// There is no picture any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureRemoved {
    /// Where it was.
    pub key: AvatarKey,
}
