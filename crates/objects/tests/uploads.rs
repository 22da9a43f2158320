//! Uploads and downloads over real connections, into a real folder.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::ports::objects::{ObjectKey, ObjectUploads, PostForm, Upload, UploadForm};
use axum::body::Body;
use bytes::Bytes;
use crypto::doors::DoorKey;
use events::ports::{Clock as _, Entropy};
use futures::{StreamExt as _, stream};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use objects::{Objects, Options, Place};
use testkit::environment::{FrozenClock, SeededEntropy};
use tokio_util::task::TaskTracker;

const MIB: usize = 1024 * 1024;

/// An object store behind a listener, and a client for it.
struct Shop {
    objects: Objects,
    clock: Arc<FrozenClock>,
    tracker: TaskTracker,
    address: SocketAddr,
    client: Client<HttpConnector, Body>,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Shop {
    async fn open(place: Place) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let clock = Arc::new(FrozenClock::default());
        let tracker = TaskTracker::new();
        let objects = Objects::new(Options {
            place,
            public_url: format!("http://{address}"),
            key: DoorKey::new([7; 32]),
            clock: clock.clone(),
            tracker: tracker.clone(),
        });
        tracker.spawn(axum::serve(listener, objects.router()).into_future());
        Self {
            objects,
            clock,
            tracker,
            address,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    async fn send(&self, method: Method, url: &str, headers: &[(&str, &str)], body: Body) -> Reply {
        let url = match url.strip_prefix('/') {
            Some(path) => format!("http://{}/{path}", self.address),
            None => url.to_owned(),
        };
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(body).unwrap()).await;
        let (parts, body) = response.unwrap().into_parts();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    async fn get(&self, key: &ObjectKey, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::GET, &format!("/{key}"), headers, Body::empty())
            .await
    }

    async fn form(&self, key: &ObjectKey, max_bytes: u64) -> UploadForm {
        let upload = Upload {
            key: key.clone(),
            max_bytes,
        };
        self.objects.form(&upload, self.clock.now()).await.unwrap()
    }

    /// Begins a resumable upload with the form's headers and some more.
    async fn create(&self, form: &UploadForm, more: &[(&str, &str)], body: Body) -> Reply {
        let mut headers = vec![("tus-resumable", "1.0.0")];
        headers.extend(form.headers.iter().map(|(name, value)| (&**name, &**value)));
        headers.extend(more);
        self.send(Method::POST, &form.signed_upload_location, &headers, body)
            .await
    }

    async fn patch(&self, url: &str, offset: u64, more: &[(&str, &str)], body: Body) -> Reply {
        let offset = offset.to_string();
        let mut headers = vec![
            ("tus-resumable", "1.0.0"),
            ("content-type", "application/offset+octet-stream"),
            ("upload-offset", &offset),
        ];
        headers.extend(more);
        self.send(Method::PATCH, url, &headers, body).await
    }

    async fn head(&self, url: &str) -> Reply {
        self.send(
            Method::HEAD,
            url,
            &[("tus-resumable", "1.0.0")],
            Body::empty(),
        )
        .await
    }
}

fn bytes(seed: u64, length: usize) -> Bytes {
    let entropy: &dyn Entropy = &SeededEntropy::new(seed);
    let block: [u8; 4096] = entropy.bytes();
    let numbered = (0_u64..).flat_map(|n| {
        let mut block = block;
        block[..8].copy_from_slice(&n.to_be_bytes());
        block
    });
    numbered.take(length).collect::<Vec<u8>>().into()
}

/// A body that breaks off after `bytes`.
fn broken_off(bytes: &Bytes) -> Body {
    let portions: Vec<_> = bytes
        .chunks(64 * 1024)
        .map(Bytes::copy_from_slice)
        .collect();
    let broken = stream::iter([Err(std::io::Error::other("the connection broke off"))]);
    Body::from_stream(stream::iter(portions).map(Ok).chain(broken))
}

fn streamed(bytes: &Bytes) -> Body {
    let portions: Vec<_> = (0..bytes.len())
        .step_by(64 * 1024)
        .map(|at| bytes.slice(at..bytes.len().min(at + 64 * 1024)))
        .collect();
    Body::from_stream(stream::iter(portions).map(Ok::<_, std::io::Error>))
}

/// Another request is at the upload, or has just moved its end.
fn is_taken(status: StatusCode) -> bool {
    [StatusCode::LOCKED, StatusCode::CONFLICT].contains(&status)
}

#[tokio::test]
async fn a_hundred_mebibytes_arrive_whole_through_interruptions() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(Place::folder(folder.path()).unwrap()).await;
    let content = bytes(1, 100 * MIB);
    let key = ObjectKey::attachment([1; 15]);
    let form = shop.form(&key, 100 * 1024 * 1024).await;
    assert_eq!((form.cdn, &*form.key), (3, key.name()));
    let length = content.len().to_string();
    let created = shop
        .create(&form, &[("upload-length", &length)], Body::empty())
        .await;
    assert_eq!(created.status, 201);
    let location = created.header("location").to_owned();
    assert_eq!(shop.get(&key, &[]).await.status, 404);

    // Twice the connection breaks off, at places that no piece ends at.
    for break_at in [37 * MIB + 12_345, 71 * MIB + 1] {
        let offset = loop {
            let head = shop.head(&location).await;
            let offset: usize = head.header("upload-offset").parse().unwrap();
            assert!(offset < break_at);
            let url = location.clone();
            let mut request = Request::builder().method(Method::PATCH).uri(url);
            for (name, value) in [
                ("tus-resumable", "1.0.0"),
                ("content-type", "application/offset+octet-stream"),
                ("upload-offset", &*offset.to_string()),
            ] {
                request = request.header(name, value);
            }
            let request = request
                .body(broken_off(&content.slice(offset..break_at)))
                .unwrap();
            match shop.client.request(request).await {
                Err(_) => break offset,
                // The interrupted request before it may still be storing its last piece.
                Ok(answer) => assert!(is_taken(answer.status()), "{}", answer.status()),
            }
        };
        // The server finds out in its own time; what it has by then it keeps.
        let kept = loop {
            match shop.head(&location).await {
                head if head.header("upload-offset") != offset.to_string() => {
                    break head.header("upload-offset").parse::<usize>().unwrap();
                }
                _ => tokio::task::yield_now().await,
            }
        };
        assert!(kept <= break_at, "nothing was made up");
    }
    let rest = loop {
        let offset = shop
            .head(&location)
            .await
            .header("upload-offset")
            .parse()
            .unwrap();
        let from = usize::try_from(offset).unwrap();
        let answer = shop
            .patch(&location, offset, &[], streamed(&content.slice(from..)))
            .await;
        if !is_taken(answer.status) {
            break answer;
        }
    };
    assert_eq!(rest.status, 204);
    assert_eq!(rest.header("upload-offset"), length);

    let download = shop.get(&key, &[]).await;
    assert_eq!(download.status, 200);
    assert!(download.body == content, "byte for byte");
    let head = shop.head(&location).await;
    assert_eq!(head.header("upload-offset"), length);
    assert_eq!(
        left_in(&folder.path().join("uploads")),
        0,
        "pieces are gone"
    );
    let again = shop
        .create(&form, &[("upload-length", &length)], Body::empty())
        .await;
    assert_eq!(again.status, 409, "an object that is there is not replaced");
}

fn left_in(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { left_in(&path) } else { 1 }
        })
        .sum()
}

#[tokio::test]
async fn an_upload_may_come_with_its_creation() {
    let shop = Shop::open(Place::memory()).await;
    let key = ObjectKey::attachment([2; 15]);
    let form = shop.form(&key, 100).await;
    let octets = ("content-type", "application/offset+octet-stream");
    let created = shop
        .create(
            &form,
            &[("upload-length", "5"), octets],
            Body::from("hello"),
        )
        .await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header("upload-offset"), "5");
    assert!(created.header("upload-expires").ends_with(" GMT"));
    assert_eq!(&shop.get(&key, &[]).await.body[..], b"hello");
}

#[tokio::test]
async fn a_checksum_that_does_not_fit_throws_the_bytes_away() {
    let shop = Shop::open(Place::memory()).await;
    let key = ObjectKey::attachment([3; 15]);
    let form = shop.form(&key, 100).await;
    let created = shop
        .create(&form, &[("upload-length", "5")], Body::empty())
        .await;
    let location = created.header("location");
    let sums = [
        // Of "hello", by `sha1sum` and `sha256sum`.
        ("sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=", 204),
        ("sha256 LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", 204),
    ];
    for (sum, expected) in sums {
        let wrong = shop
            .patch(
                location,
                0,
                &[("upload-checksum", sum)],
                Body::from("hellO"),
            )
            .await;
        assert_eq!(wrong.status.as_u16(), 460);
        assert_eq!(shop.head(location).await.header("upload-offset"), "0");
        let malformed = shop
            .patch(
                location,
                0,
                &[("upload-checksum", "md9 x")],
                Body::from("hello"),
            )
            .await;
        assert_eq!(malformed.status, 400);
        let right = shop
            .patch(
                location,
                0,
                &[("upload-checksum", sum)],
                Body::from("hello"),
            )
            .await;
        assert_eq!(right.status, expected);
        let key: ObjectKey = key.clone();
        shop.objects.remove(&key).await.unwrap();
        shop.create(&form, &[("upload-length", "5")], Body::empty())
            .await;
    }
}

#[tokio::test]
async fn what_the_form_does_not_allow_is_refused() {
    let shop = Shop::open(Place::memory()).await;
    let key = ObjectKey::attachment([4; 15]);
    let form = shop.form(&key, 10).await;
    let create = async |more: &[(&str, &str)]| shop.create(&form, more, Body::empty()).await.status;
    assert_eq!(create(&[("upload-length", "11")]).await, 413);
    for length in ["0", "-1", "x", ""] {
        assert_eq!(create(&[("upload-length", length)]).await, 400, "{length}");
    }
    let mut other = form.clone();
    other.signed_upload_location = form
        .signed_upload_location
        .replace("attachments", "backups");
    let wrong_folder = shop
        .create(&other, &[("upload-length", "5")], Body::empty())
        .await;
    assert_eq!(wrong_folder.status, 403);
    let created = shop
        .create(&form, &[("upload-length", "5")], Body::empty())
        .await;
    let location = created.header("location").to_owned();

    let status = async |offset, body: &'static str| {
        shop.patch(&location, offset, &[], Body::from(body))
            .await
            .status
    };
    assert_eq!(status(1, "ello").await, 409, "not where it stands");
    assert_eq!(status(0, "hello!").await, 413, "more than was said");
    assert_eq!(shop.head(&location).await.header("upload-offset"), "0");
    let octets = ("content-type", "application/offset+octet-stream");
    let old = [("upload-offset", "0"), octets];
    let version = shop
        .send(Method::PATCH, &location, &old, Body::empty())
        .await;
    assert_eq!(version.status, 412);
    assert_eq!(version.header("tus-version"), "1.0.0");
    let kind = [("tus-resumable", "1.0.0"), ("upload-offset", "0")];
    let kind = shop
        .send(Method::PATCH, &location, &kind, Body::empty())
        .await;
    assert_eq!(kind.status, 415);

    let (bare, _) = location.split_once('?').unwrap();
    assert_eq!(shop.head(bare).await.status, 403, "no token");
    let stolen = location.replace(key.name(), ObjectKey::attachment([5; 15]).name());
    assert_eq!(
        shop.head(&stolen).await.status,
        403,
        "a token is for one object"
    );
    let outside = location.replace(key.name(), "..%2f..%2fetc%2fpasswd");
    assert_eq!(shop.head(&outside).await.status, 404);

    shop.clock.advance(Duration::from_hours(25));
    assert_eq!(
        shop.head(&location).await.status,
        403,
        "the token has expired"
    );
    assert_eq!(shop.objects.sweep().await.unwrap(), 1);
    assert_eq!(shop.objects.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn an_upload_can_be_given_up() {
    let shop = Shop::open(Place::memory()).await;
    let form = shop.form(&ObjectKey::attachment([6; 15]), 10).await;
    let created = shop
        .create(&form, &[("upload-length", "5")], Body::empty())
        .await;
    let location = created.header("location");
    let version = [("tus-resumable", "1.0.0")];
    let delete = async || {
        shop.send(Method::DELETE, location, &version, Body::empty())
            .await
    };
    assert_eq!(delete().await.status, 204);
    assert_eq!(delete().await.status, 404);
    assert_eq!(shop.head(location).await.status, 404);
}

#[tokio::test]
async fn parts_of_an_object_and_its_tag() {
    let shop = Shop::open(Place::memory()).await;
    let key = ObjectKey::attachment([8; 15]);
    let form = shop.form(&key, 100).await;
    let octets = ("content-type", "application/offset+octet-stream");
    shop.create(
        &form,
        &[("upload-length", "10"), octets],
        Body::from("0123456789"),
    )
    .await;
    let whole = shop.get(&key, &[]).await;
    let tag = whole.header("etag").to_owned();
    assert_eq!(whole.header("accept-ranges"), "bytes");
    for (range, status, body, told) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=8-99", 206, "89", "bytes 8-9/10"),
        ("bytes=10-", 416, "", "bytes */10"),
        ("bytes=-0", 416, "", "bytes */10"),
        ("bytes=0-1,4-5", 200, "0123456789", ""),
        ("nonsense", 200, "0123456789", ""),
    ] {
        let part = shop.get(&key, &[("range", range)]).await;
        assert_eq!(part.status, status, "{range}");
        assert_eq!(part.body, body, "{range}");
        assert_eq!(part.header("content-range"), told, "{range}");
    }
    let known = shop.get(&key, &[("if-none-match", &tag)]).await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
    assert_eq!(
        shop.get(&key, &[("if-match", "\"other\"")]).await.status,
        412
    );
    let changed = [("range", "bytes=2-4"), ("if-range", "\"other\"")];
    assert_eq!(shop.get(&key, &changed).await.status, 200);
    let head = shop
        .send(Method::HEAD, &format!("/{key}"), &[], Body::empty())
        .await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length")),
        (200, "10")
    );
    for path in [
        "/attachments/..%2fuploads",
        "/attachments/x",
        "/uploads/attachments",
        "/profiles/a/b",
    ] {
        let outside = shop.send(Method::GET, path, &[], Body::empty()).await;
        assert_eq!(outside.status, 404, "{path}");
    }
}

/// A form as a browser would send it.
fn multipart(form: &PostForm, file: &[u8]) -> (String, Vec<u8>) {
    let fields = BTreeMap::from([
        ("key", &form.key),
        ("x-amz-credential", &form.credential),
        ("acl", &form.acl),
        ("x-amz-algorithm", &form.algorithm),
        ("x-amz-date", &form.date),
        ("policy", &form.policy),
        ("x-amz-signature", &form.signature),
    ]);
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!(
            "--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
        body.extend_from_slice(part.as_bytes());
    }
    let head = "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\n\
                Content-Type: application/octet-stream\r\n\r\n";
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--limit--\r\n");
    ("multipart/form-data; boundary=limit".to_owned(), body)
}

#[tokio::test]
async fn a_browsers_form_stores_what_it_was_signed_for() {
    let shop = Shop::open(Place::memory()).await;
    let key = ObjectKey::avatar([9; 16]);
    let upload = Upload {
        key: key.clone(),
        max_bytes: 10,
    };
    let form = shop
        .objects
        .post_form(&upload, shop.clock.now())
        .await
        .unwrap();
    let post = async |form: &PostForm, file: &[u8]| {
        let (kind, body) = multipart(form, file);
        shop.send(
            Method::POST,
            "/",
            &[("content-type", &kind)],
            Body::from(body),
        )
        .await
        .status
    };
    assert_eq!(post(&form, b"").await, 400);
    assert_eq!(post(&form, b"eleven bytes").await, 400);
    let mut stolen = form.clone();
    stolen.key = ObjectKey::avatar([10; 16]).to_string();
    assert_eq!(post(&stolen, b"picture").await, 403);
    let mut forged = form.clone();
    forged.signature = forged.signature.replace(|c: char| c != '0', "0");
    assert_eq!(post(&forged, b"picture").await, 403);
    assert_eq!(shop.get(&key, &[]).await.status, 404);
    assert_eq!(post(&form, b"picture").await, 204);
    assert_eq!(&shop.get(&key, &[]).await.body[..], b"picture");
    shop.clock.advance(Duration::from_mins(30));
    assert_eq!(post(&form, b"picture").await, 403);
    let kind = [("content-type", "text/plain")];
    let text = shop.send(Method::POST, "/", &kind, Body::from("x")).await;
    assert_eq!(text.status, 415);
    shop.objects.remove(&key).await.unwrap();
    shop.objects.remove(&key).await.unwrap();
    assert_eq!(shop.get(&key, &[]).await.status, 404);
    shop.tracker.close();
}
