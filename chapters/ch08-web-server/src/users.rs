//! Two queries, one after the other: a handler that waits for a database.
//!
//! SQLite is a library, and it blocks. sqlx gives each of its connections a thread and talks to it
//! through a channel: so this is an `async fn` that awaits, and there is a pool of threads all the
//! same. It is just not ours.

use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tokio::sync::OnceCell;

use crate::{Answer, Refusal, Request, json};

/// How many connections there are: how many queries run at once.
const CONNECTIONS: u32 = 4;

/// The tables, and who is in them.
const SCHEMA: &str = "
    CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id));
    INSERT INTO users VALUES (1, 'Ada'), (2, 'Grace'), (3, 'Edsger');
    INSERT INTO orders (user_id) VALUES (1), (1), (1), (2);
";

/// A database in memory, made when somebody first asks for it.
#[derive(Debug, Default)]
pub(crate) struct Users(OnceCell<SqlitePool>);

impl Users {
    async fn pool(&self) -> sqlx::Result<&SqlitePool> {
        self.0.get_or_try_init(open).await
    }
}

async fn open() -> sqlx::Result<SqlitePool> {
    // Connections share a database in memory by its name, and it is gone with the last of them.
    let options = SqliteConnectOptions::new().in_memory(true).shared_cache(true);
    let options = options.filename(format!("file:users-{}", std::process::id()));
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    Ok(pool)
}

#[derive(Serialize)]
struct User {
    id: i64,
    name: String,
    orders: i64,
}

// ANCHOR: user
pub(crate) async fn user(request: Request, users: Arc<Users>) -> Answer {
    let id = request.param("id");
    let bad = |_| Refusal::bad_request(format!("expected the number of a user, got {id:?}"));
    let id: i64 = id.parse().map_err(bad)?;
    let found = find(&users, id).await.map_err(|error| {
        let reason = format!("the database failed: {error}");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, reason)
    })?;
    let none = || Refusal::new(StatusCode::NOT_FOUND, format!("there is no user {id}"));
    Ok(json(&found.ok_or_else(none)?))
}

async fn find(users: &Users, id: i64) -> sqlx::Result<Option<User>> {
    let pool = users.pool().await?;
    let name = sqlx::query_scalar("SELECT name FROM users WHERE id = ?");
    let Some(name) = name.bind(id).fetch_optional(pool).await? else { return Ok(None) };
    let orders = sqlx::query_scalar("SELECT count(*) FROM orders WHERE user_id = ?");
    let orders = orders.bind(id).fetch_one(pool).await?;
    Ok(Some(User { id, name, orders }))
}
// ANCHOR_END: user
