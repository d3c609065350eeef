//! Libraries that turn rows of a database into objects of the app, and the drivers below them.
//!
//! They work once for each statement and each row. So where a line has one of them work long for a single request, the line asks for
//! too much: a statement for each row of a list, or rows that nobody looks at. What a line's few statements cost is the library's.

use fissure_facts::profile::Frame;

use super::origin::{Origin, origin};

/// By a part of the path of a library's file.
const MAPPERS: [(&str, &str); 40] = [
    ("/sqlalchemy/", "SQLAlchemy"),
    ("/django/db/", "Django's ORM"),
    ("/peewee", "Peewee"),
    ("/tortoise/", "Tortoise"),
    ("/pony/orm/", "Pony"),
    ("/psycopg", "psycopg"),
    ("/asyncpg/", "asyncpg"),
    ("/pymysql/", "PyMySQL"),
    ("/sequelize/", "Sequelize"),
    ("/typeorm/", "TypeORM"),
    ("/knex/", "Knex"),
    ("/@prisma/", "Prisma"),
    ("/mongoose/", "Mongoose"),
    ("/drizzle-orm/", "Drizzle"),
    ("/@mikro-orm/", "MikroORM"),
    ("/mysql2/", "mysql2"),
    ("/activerecord-", "Active Record"),
    ("/sequel-", "Sequel"),
    ("/illuminate/database/", "Eloquent"),
    ("/doctrine/", "Doctrine"),
    ("/cakephp/src/orm/", "CakePHP's ORM"),
    ("/yii2/db/", "Yii's ORM"),
    ("/cycle/orm/", "Cycle"),
    ("/propel/", "Propel"),
    ("/redbean", "RedBeanPHP"),
    ("org/hibernate/", "Hibernate"),
    ("org/jooq/", "jOOQ"),
    ("gorm.io/gorm", "GORM"),
    ("diesel-", "Diesel"),
    ("/pg/lib/", "pg"),
    ("/pg-pool/", "pg"),
    ("/mysql/lib/", "mysql"),
    ("/ioredis/", "ioredis"),
    ("/mongodb/lib/", "mongodb"),
    ("/pymongo/", "PyMongo"),
    ("jackc/pgx", "pgx"),
    ("lib/pq", "pq"),
    ("go-sql-driver/mysql", "Go-MySQL-Driver"),
    ("org/postgresql/", "the JDBC driver"),
    ("com/mysql/cj/", "the JDBC driver"),
];

/// The library whose code a frame is.
pub(super) fn of(frame: &Frame) -> Option<&'static str> {
    if origin(frame) != Origin::Library {
        return None;
    }
    let file = frame.file.as_deref().unwrap_or_default().to_ascii_lowercase();
    MAPPERS.iter().find(|(part, _)| file.contains(part)).map(|(_, name)| *name)
}
