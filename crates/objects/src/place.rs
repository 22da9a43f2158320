//! Where objects are: a folder, memory, or a bucket at one of the three large providers.

use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::prefix::PrefixStore;
use object_store::signer::Signer;
use object_store::{ObjectStore, ObjectStoreScheme};
use url::Url;

/// A store, and what signs addresses into it if clients are to use it directly.
#[derive(Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    direct: Option<Direct>,
}

/// A bucket that clients upload to and download from themselves.
#[derive(Clone)]
pub(crate) struct Direct {
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) provider: Provider,
}

/// Whose bucket it is, as far as forms differ.
#[derive(Clone)]
pub(crate) enum Provider {
    /// Uploads with `PUT`; browser forms are the bucket's own, too.
    Amazon(Box<Amazon>),
    /// Resumable uploads that begin with `POST`.
    Google,
    /// Uploads with `PUT` that name the kind of blob.
    Microsoft,
}

/// What a browser's form needs to know of an S3 bucket.
#[derive(Clone)]
pub(crate) struct Amazon {
    pub(crate) store: Arc<AmazonS3>,
    pub(crate) bucket: String,
    pub(crate) region: String,
}

/// A place that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceInvalid {
    /// Not an address.
    #[error("not a URL")]
    Url(#[from] url::ParseError),
    /// Not a kind of place that is known.
    #[error("{0}:// is no place for objects: use file, memory, s3, gs or az")]
    Scheme(String),
    /// Known, and not usable.
    #[error("the object store cannot be used")]
    Store(#[from] object_store::Error),
    /// The folder cannot be made.
    #[error("the folder cannot be used")]
    Folder(#[from] std::io::Error),
}

impl Place {
    /// A folder of this machine. It is made if it is not there.
    pub fn folder(path: &std::path::Path) -> Result<Self, PlaceInvalid> {
        std::fs::create_dir_all(path)?;
        let store = LocalFileSystem::new_with_prefix(path)?.with_automatic_cleanup(true);
        Ok(Self::of(store))
    }

    /// Nowhere: everything is lost with the process.
    pub fn memory() -> Self {
        Self::of(InMemory::new())
    }

    /// What the URL names: `file:///folder`, `memory:///`, `s3://bucket/prefix`, `gs://bucket/prefix`,
    /// `az://container/prefix`. Credentials of buckets come from the providers' usual environment variables
    /// (`AWS_…`, `GOOGLE_…`, `AZURE_…`). With `direct` clients use the bucket themselves, by signed addresses;
    /// otherwise everything goes through this server.
    pub fn open(url: &str, direct: bool) -> Result<Self, PlaceInvalid> {
        let parsed: Url = url.parse()?;
        let Ok((scheme, prefix)) = ObjectStoreScheme::parse(&parsed) else {
            return Err(PlaceInvalid::Scheme(parsed.scheme().to_owned()));
        };
        let bucket = parsed.host_str().unwrap_or_default().to_owned();
        let direct = direct && prefix.as_ref().is_empty();
        let mut place = match scheme {
            ObjectStoreScheme::Local => return Self::folder(std::path::Path::new(parsed.path())),
            ObjectStoreScheme::Memory => return Ok(Self::memory()),
            ObjectStoreScheme::AmazonS3 => Self::amazon(url, bucket)?,
            ObjectStoreScheme::GoogleCloudStorage => {
                let store = GoogleCloudStorageBuilder::from_env()
                    .with_url(url)
                    .build()?;
                Self::bucket(store, Provider::Google)
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let store = MicrosoftAzureBuilder::from_env().with_url(url).build()?;
                Self::bucket(store, Provider::Microsoft)
            }
            _ => return Err(PlaceInvalid::Scheme(parsed.scheme().to_owned())),
        };
        if !direct {
            place.direct = None;
        }
        if !prefix.as_ref().is_empty() {
            place.store = Arc::new(PrefixStore::new(place.store, prefix));
        }
        Ok(place)
    }

    fn amazon(url: &str, bucket: String) -> Result<Self, PlaceInvalid> {
        let builder = AmazonS3Builder::from_env().with_url(url);
        let region = builder
            .get_config_value(&object_store::aws::AmazonS3ConfigKey::Region)
            .unwrap_or_else(|| "us-east-1".to_owned());
        let store = Arc::new(builder.build()?);
        Ok(Self {
            store: store.clone(),
            direct: Some(Direct {
                signer: store.clone(),
                provider: Provider::Amazon(Box::new(Amazon {
                    store,
                    bucket,
                    region,
                })),
            }),
        })
    }

    fn of(store: impl ObjectStore) -> Self {
        Self {
            store: Arc::new(store),
            direct: None,
        }
    }

    fn bucket<S: ObjectStore + Signer>(store: S, provider: Provider) -> Self {
        let store = Arc::new(store);
        Self {
            store: store.clone(),
            direct: Some(Direct {
                signer: store,
                provider,
            }),
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    pub(crate) fn direct(&self) -> Option<&Direct> {
        self.direct.as_ref()
    }
}
