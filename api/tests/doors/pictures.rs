//! Profiles' pictures: uploaded by a form, and gone from the object store when nobody is shown them any more.

use std::fmt::Write as _;
use std::sync::Arc;

use api::ports::{ObjectKey, ObjectUploads as _};
use async_trait::async_trait;
use axum::body::Body;
use events::codec::Fact;
use events::values::profile::AvatarKey;
use events::{Family, Position};
use http::{Request, StatusCode};
use objects::Objects;
use reactors::pictures::{NotRemoved, PictureStore, Pictures};
use serde_json::{Value, json};
use store_postgres::PgSubjectKeys;
use subscription::{Reactor as _, Reader};
use testkit::environment::SeededEntropy;
use tower::ServiceExt as _;

use crate::support::{Device, Door};

struct Avatars(Objects);

#[async_trait]
impl PictureStore for Avatars {
    async fn remove(&self, key: AvatarKey) -> Result<(), NotRemoved> {
        let key: ObjectKey = key.to_string().parse().unwrap();
        let removed = self.0.remove(&key).await;
        removed.map_err(|error| NotRemoved(error.into()))
    }
}

impl Door {
    /// Lets the reactor take everything that is in the log. What it has taken before it takes again.
    pub(crate) async fn remove_pictures(&self) {
        let entropy = Arc::new(SeededEntropy::default());
        let keys = PgSubjectKeys::new(self.database.pool.clone(), entropy);
        let store = Arc::new(self.database.event_store().await);
        let reader = Reader::new(store, Arc::new(keys));
        let all = reader
            .read(Position(0), &[Family::Profile, Family::Picture], 1000)
            .await;
        let facts: Vec<_> = all.unwrap().facts;
        let facts: Vec<&Fact> = facts.iter().map(AsRef::as_ref).collect();
        let reactor = Pictures::new(Arc::new(Avatars(self.objects.clone())));
        reactor.react(&facts).await.unwrap();
    }

    /// Uploads a picture as the form says; tells where it is.
    pub(crate) async fn upload(&self, form: &Value) -> String {
        let mut body = String::new();
        let fields = form.as_object().unwrap().iter();
        let renamed = [
            ("credential", "x-amz-credential"),
            ("algorithm", "x-amz-algorithm"),
            ("date", "x-amz-date"),
            ("signature", "x-amz-signature"),
        ];
        let fields = fields.map(|(name, value)| {
            let renamed = renamed.iter().find(|(ours, _)| ours == name);
            let name = renamed.map_or(name.as_str(), |(_, theirs)| theirs);
            (name, value.as_str().unwrap())
        });
        let more = [("Content-Type", "image/png"), ("file", "a picture")];
        for (name, value) in fields.chain(more) {
            let head = "--limit\r\nContent-Disposition: form-data; name=";
            write!(body, "{head}\"{name}\"\r\n\r\n{value}\r\n").unwrap();
        }
        body += "--limit--\r\n";
        let request = Request::post("/")
            .header("content-type", "multipart/form-data; boundary=limit")
            .body(Body::from(body));
        let router = self.objects.router();
        let stored = router.oneshot(request.unwrap()).await.unwrap();
        assert_eq!(stored.status(), StatusCode::NO_CONTENT);
        form["key"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn has(&self, picture: &str) -> bool {
        let request = Request::get(format!("/{picture}")).body(Body::empty());
        let router = self.objects.router();
        let found = router.oneshot(request.unwrap()).await.unwrap();
        match found.status() {
            StatusCode::OK => true,
            StatusCode::NOT_FOUND => false,
            other => panic!("{other}"),
        }
    }
}

async fn new_picture(door: &Door, device: &Device) -> String {
    let form = device.client.put("/v1/profile", json!({ "avatar": true }));
    door.upload(&form.await.expect(200)).await
}

#[tokio::test]
async fn a_picture_stays_as_long_as_the_profile_shows_it() {
    let door = Door::open().await;
    let alice = door.register("+12015550161").await;
    let bob = door.register("+12015550162").await;
    let (first, bobs) = (
        new_picture(&door, &alice).await,
        new_picture(&door, &bob).await,
    );
    door.remove_pictures().await;
    assert!(door.has(&first).await, "it is shown");

    let second = new_picture(&door, &alice).await;
    door.remove_pictures().await;
    assert!(!door.has(&first).await, "replaced");
    assert!(door.has(&second).await);

    let keeps = json!({ "avatar": true, "sameAvatar": true });
    alice.client.put("/v1/profile", keeps).await.expect(200);
    door.remove_pictures().await;
    assert!(door.has(&second).await, "kept");

    let without = json!({ "avatar": false });
    alice.client.put("/v1/profile", without).await.expect(200);
    door.remove_pictures().await;
    assert!(!door.has(&second).await, "taken away");

    let third = new_picture(&door, &alice).await;
    let alice = door.register("+12015550161").await;
    door.remove_pictures().await;
    assert!(door.has(&third).await, "kept for who comes back");

    let fourth = new_picture(&door, &alice).await;
    let alice = door.register("+12015550161").await;
    door.remove_pictures().await;
    assert!(!door.has(&third).await, "there has been another");
    assert!(door.has(&fourth).await, "kept for who comes back");

    let fifth = new_picture(&door, &alice).await;
    alice.client.delete("/v1/accounts/me").await.expect(204);
    door.remove_pictures().await;
    assert!(!door.has(&fourth).await, "gone with the account");
    assert!(!door.has(&fifth).await, "gone with the account");
    assert!(door.has(&bobs).await, "somebody else's");
}
