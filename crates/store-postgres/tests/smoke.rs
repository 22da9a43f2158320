use events::store::*;
#[tokio::test]
async fn works() {
    let db = testkit::postgres::TestDatabase::create().await;
    let store = db.event_store().await;
    println!("{:?}", store.head().await);
}
#[tokio::test]
async fn works2() {
    let db = testkit::postgres::TestDatabase::create().await;
    let store = db.event_store().await;
    println!("{:?}", store.head().await);
}
