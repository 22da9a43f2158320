//! Pictures of people whom nobody knows: whoever shows a credential for a name puts a picture there, or takes it away.

pub mod find_picture;
pub mod place_picture;
pub mod remove_picture;
pub mod state;

pub use find_picture::FindPicture;
pub use place_picture::PlacePicture;
pub use remove_picture::RemovePicture;
pub use state::Picture;
