//! Which events a command may append.

/// Commands and the events that their rules name, in the order of the alphabet. A test compares it with the rules.
pub const EVENTS: &[(&str, &[&str])] = &[
    ("Acknowledge", &["MessageQueued", "MessagesDelivered"]),
    ("ChangeAccess", &["AccessChanged"]),
    ("ChangeAttributes", &["AttributesChanged"]),
    ("ChangeCapabilities", &["DeviceCapabilitiesChanged"]),
    (
        "ChangeNumber",
        &[
            "AccountDeleted",
            "MessageQueued",
            "NumberChanged",
            "NumberClaimed",
            "NumberLeft",
        ],
    ),
    (
        "ChangeProtection",
        &["RecoveryPasswordSet", "RegistrationLockChanged"],
    ),
    ("ClearPushToken", &["DeviceFetchesMessages"]),
    ("ConfirmTotpKey", &["TotpKeyConfirmed"]),
    ("ConfirmUsername", &["UsernameClaimed", "UsernameConfirmed"]),
    (
        "DeleteAccount",
        &["AccountDeleted", "NumberReleased", "ProfileCleared"],
    ),
    ("DeleteUsernameLink", &["UsernameLinkChanged"]),
    ("DropPushToken", &["PushTokenChanged"]),
    ("DropRecoveryPassword", &["RecoveryPasswordDropped"]),
    ("DropUsername", &["UsernameDropped"]),
    ("ExpireMessages", &["MessagesExpired"]),
    ("FindPicture", &[]),
    ("GenerateTotpKey", &["TotpKeyGenerated"]),
    ("LinkDevice", &["DeviceLinked"]),
    ("MarkSeen", &["DeviceSeen"]),
    ("MeetChallenge", &["ChallengeMet"]),
    ("OfferArchive", &["TransferArchiveOffered"]),
    ("PlacePicture", &["PicturePlaced"]),
    (
        "RegisterAccount",
        &[
            "AccountRegistered",
            "AccountReregistered",
            "NumberClaimed",
            "RegistrationLockFailed",
        ],
    ),
    ("RemoveDevice", &["DeviceRemoved"]),
    ("RemovePicture", &["PictureRemoved"]),
    ("RemoveTotpKey", &["TotpKeyRemoved"]),
    ("RenameDevice", &["DeviceRenamed"]),
    ("ReportUndelivered", &["CodeUndelivered"]),
    ("RequestCode", &["CodeSent", "ProofRequired"]),
    (
        "RequirePushChallenge",
        &["ProofRequired", "ProofSubmitted", "PushChallengeIssued"],
    ),
    (
        "ReserveUsername",
        &["UsernameReservationSet", "UsernameReserved"],
    ),
    ("SendMessage", &["MessageQueued"]),
    ("SendToMany", &["MessageQueued"]),
    ("SetAvatar", &["AvatarReplaced"]),
    (
        "SetKeys",
        &["IdentityKeySet", "PreKeysUploaded", "SignedPreKeyRotated"],
    ),
    (
        "SetProfile",
        &[
            "AvatarRemoved",
            "AvatarReplaced",
            "ProfileVersionDropped",
            "ProfileVersionSet",
        ],
    ),
    ("SetPushToken", &["PushTokenChanged"]),
    ("SetTotpKeyMetadata", &["TotpKeyMetadataSet"]),
    ("SetUsernameLink", &["UsernameLinkChanged"]),
    ("SetZkCredentialKey", &["ZkCredentialKeySet"]),
    (
        "StartSession",
        &["PushChallengeIssued", "SessionStarted", "VerificationBegun"],
    ),
    (
        "SubmitCode",
        &["CodeRejected", "NumberVerified", "RecoveryPasswordDropped"],
    ),
    (
        "SubmitProof",
        &["ProofRequired", "ProofSubmitted", "PushChallengeIssued"],
    ),
    ("TakePreKeys", &["OneTimePreKeyTaken"]),
];
