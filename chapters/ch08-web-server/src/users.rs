//! Two queries, one after the other: a handler that waits for a database.
//!
//! SQLite is a library, and it blocks. sqlx gives each of its connections a thread and talks to it
//! through a channel: so this is an `async fn` that awaits, and there is a pool of threads all the
//! same. It is just not ours.

use std::sync::{Arc, Mutex};

use hyper::StatusCode;
use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};
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
pub(crate) struct Users(OnceCell<Database>);

/// A query that is given up, since its client has left, may close its connection. And a database in
/// memory is gone with its last connection. So there is one that nobody asks anything.
#[derive(Debug)]
struct Database {
    pool: SqlitePool,
    /// In a `Mutex` only since a connection is not `Sync`.
    _keeper: Mutex<SqliteConnection>,
}

impl Users {
    async fn pool(&self) -> sqlx::Result<&SqlitePool> {
        Ok(&self.0.get_or_try_init(open).await?.pool)
    }
}

async fn open() -> sqlx::Result<Database> {
    // Connections share a database in memory by its name.
    let options = SqliteConnectOptions::new().in_memory(true).shared_cache(true);
    let options = options.filename(format!("file:users-{}", std::process::id()));
    let mut keeper = options.connect().await?;
    sqlx::raw_sql(SCHEMA).execute(&mut keeper).await?;
    let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_lazy_with(options);
    Ok(Database { pool, _keeper: Mutex::new(keeper) })
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn assert_found(users: &Users) {
        let user = find(users, 1).await.expect("the tables are there");
        assert_eq!(user.map(|user| (user.name, user.orders)), Some(("Ada".to_owned(), 3)));
    }

    #[test]
    fn the_tables_outlive_the_connections_of_the_pool() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("descriptors are free").block_on(async {
            let users = Users::default();
            assert_found(&users).await;
            let pool = users.pool().await.expect("it is open");
            assert!(pool.size() > 0);
            while pool.size() > 0 {
                let connection = pool.acquire().await.expect("one is free");
                connection.close().await.expect("it is idle");
            }
            assert_found(&users).await;
        });
    }
}
