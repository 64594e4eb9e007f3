-- The benchmark table of fixture.sql for MariaDB, value for value; :rows stands for the row count.

CREATE TABLE lineitem (
  id bigint NOT NULL PRIMARY KEY,
  l_orderkey bigint NOT NULL,
  l_partkey int NOT NULL,
  l_suppkey int NOT NULL,
  l_linenumber int NOT NULL,
  l_quantity decimal(15,2) NOT NULL,
  l_extendedprice decimal(15,2) NOT NULL,
  l_discount decimal(15,2) NOT NULL,
  l_tax decimal(15,2) NOT NULL,
  l_returnflag char(1) NOT NULL,
  l_linestatus char(1) NOT NULL,
  l_shipdate date NOT NULL,
  l_commitdate date NOT NULL,
  l_receiptdate date NOT NULL,
  l_shipinstruct char(25) NOT NULL,
  l_shipmode char(10) NOT NULL,
  l_comment varchar(44) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT INTO lineitem
SELECT i, 1 + i DIV 4 * 8, 1 + a % 200000, 1 + b % 10000, 1 + i % 4,
       1 + a % 50,
       (90000 + b % 9000000) / 100.0,
       (a % 11) / 100.0,
       (b % 9) / 100.0,
       ELT(1 + a % 3, 'N', 'A', 'R'),
       ELT(1 + b % 2, 'O', 'F'),
       DATE '1992-01-02' + INTERVAL a % 2500 DAY,
       DATE '1992-01-31' + INTERVAL b % 2450 DAY,
       DATE '1992-01-04' + INTERVAL a % 2500 + b % 30 DAY,
       ELT(1 + a % 4, 'DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'),
       ELT(1 + b % 7, 'AIR', 'FOB', 'MAIL', 'RAIL', 'REG AIR', 'SHIP', 'TRUCK'),
       SUBSTR(w.words, 1 + b % 60, 10 + a % 34)
FROM (SELECT seq AS i, seq * 48271 % 2147483647 AS a, seq * 69621 % 2147483647 AS b
      FROM seq_1_to_:rows) AS r,
     (SELECT CONCAT('carefully final deposits sleep quickly across the furiously regular requests; ',
                    'blithely ironic pinto beans nag above the express packages') AS words) AS w;

CREATE VIEW lineitem_tenfold AS SELECT l.* FROM seq_1_to_10 AS round JOIN lineitem AS l;
ANALYZE TABLE lineitem;
