-- What both programs read of MySQL: numbers, text, times, JSON, flags, enums, keys of two columns.
CREATE TABLE customers (
    id int unsigned AUTO_INCREMENT PRIMARY KEY, email varchar(190) NOT NULL UNIQUE, note mediumtext,
    balance decimal(14,4) NOT NULL DEFAULT 0, active tinyint(1) NOT NULL DEFAULT 1, born date,
    kind enum('new', 'old'), flags set('a', 'b'), doc json, picture blob, made datetime(6) NOT NULL,
    seen timestamp NULL);
INSERT INTO customers (email, note, balance, active, born, kind, flags, doc, picture, made, seen)
WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 500)
SELECT CONCAT('e', n, '@example.com'), IF(n % 3, CONCAT('ü', n), NULL), n / 8, n % 2,
    DATE_ADD('1980-01-01', INTERVAL n DAY), IF(n % 2, 'new', 'old'), 'a,b', JSON_OBJECT('n', n),
    UNHEX(SHA2(n, 256)), DATE_ADD('2024-01-01', INTERVAL n * 1000001 MICROSECOND),
    IF(n % 4, DATE_ADD('2024-01-01', INTERVAL n HOUR), NULL) FROM s;
CREATE TABLE order_lines (
    order_id bigint unsigned, line smallint, price decimal(8,2), share double, part float,
    PRIMARY KEY (order_id, line));
INSERT INTO order_lines
WITH RECURSIVE s (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < 799)
SELECT 18446744073709551000 + n DIV 4, n % 4, n / 4, n / 7, n / 4 FROM s;
CREATE TABLE `Mixed Case` (`a b` int PRIMARY KEY, `order` varchar(5));
INSERT INTO `Mixed Case` VALUES (1, 'x'), (2, NULL);
CREATE TABLE nothing (id int PRIMARY KEY);
CREATE VIEW known AS SELECT id, email FROM customers WHERE active = 1;
