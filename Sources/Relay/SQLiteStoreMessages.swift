import Foundation
import GRDB
import Queue
import Wire

extension SQLiteStore {
  public func put(_ deposit: Deposit, in mailboxes: [Mailbox]) throws(StoreError) -> [UInt64] {
    guard !mailboxes.isEmpty else { return [] }
    return try together { () throws(StoreError) -> [UInt64] in
      let numbers = try run { database in
        var rows = try MessageRows(database)
        let body = try rows.insert(deposit, links: mailboxes.count)
        return try mailboxes.map { try Self.link(deposit, body: body, to: $0, &rows, database) }
      }
      total = total + Usage(messages: mailboxes.count, bytes: deposit.bytes.count)
      return numbers
    }
  }

  /// A message in one mailbox, under its next number.
  private static func link(
    _ deposit: Deposit, body: Int64, to mailbox: Mailbox, _ rows: inout MessageRows, _ database: Database
  ) throws -> UInt64 {
    let row = try Row.fetchOne(
      database.cachedStatement(
        sql: """
          INSERT INTO mailbox(kind, address, last, messages, bytes) VALUES(?, ?, 1, 1, ?)
          ON CONFLICT DO UPDATE SET last = last + 1, messages = messages + 1, bytes = bytes + excluded.bytes
          RETURNING id, last
          """),
      arguments: [Int64(mailbox.kind.rawValue), mailbox.address.data, deposit.bytes.count])
    guard let row else { throw StoreError(.failed, detail: "mailbox row missing") }
    let (id, number): (Int64, Int64) = (row[0], row[1])
    let given = UInt64(bitPattern: number)
    try rows.hold(body, deposit, in: id, given)
    return given
  }

  @discardableResult
  public func remove(_ number: UInt64, in mailbox: Mailbox) throws(StoreError) -> Bool {
    try take(number, in: mailbox) != nil
  }

  /// Removes a message: how many bytes it had, and whether no other mailbox holds them. `nil` if there is none.
  func take(_ number: UInt64, in mailbox: Mailbox) throws(StoreError) -> (bytes: Int, isLast: Bool)? {
    try together { () throws(StoreError) in
      let taken = try run { database in try Self.take(number, in: mailbox, database) }
      guard let taken else { return nil }
      total = total - Usage(messages: 1, bytes: taken.isLast ? taken.bytes : 0)
      return taken
    }
  }

  static func take(
    _ number: UInt64, in mailbox: Mailbox, _ database: Database
  ) throws -> (bytes: Int, isLast: Bool)? {
    let row = try Row.fetchOne(
      database.cachedStatement(
        sql: """
          SELECT mailbox.id, body.id, body.links, length(body.bytes) FROM mailbox
          JOIN held ON held.mailbox = mailbox.id AND held.number = ? JOIN body ON body.id = held.body
          WHERE mailbox.kind = ? AND mailbox.address = ?
          """),
      arguments: [number.bits, Int64(mailbox.kind.rawValue), mailbox.address.data])
    guard let row else { return nil }
    let (id, body, links, bytes): (Int64, Int64, Int, Int) = (row[0], row[1], row[2], row[3])
    try database.cachedStatement(sql: "DELETE FROM held WHERE mailbox = ? AND number = ?")
      .execute(arguments: [id, number.bits])
    try database.cachedStatement(sql: "UPDATE mailbox SET messages = messages - 1, bytes = bytes - ? WHERE id = ?")
      .execute(arguments: [bytes, id])
    try database.cachedStatement(
      sql: links > 1 ? "UPDATE body SET links = links - 1 WHERE id = ?" : "DELETE FROM body WHERE id = ?"
    ).execute(arguments: [body])
    return (bytes, links <= 1)
  }

  public func next(in mailbox: Mailbox, after number: UInt64) throws(StoreError) -> HeldMessage? {
    try list(in: mailbox, after: number, limit: 1).first
  }

  public func list(in mailbox: Mailbox, after number: UInt64, limit: Int) throws(StoreError) -> [HeldMessage] {
    // No number reaches 2^63.
    guard number <= UInt64(Int64.max) else { return [] }
    return try messages(
      """
      FROM mailbox CROSS JOIN held ON held.mailbox = mailbox.id CROSS JOIN body ON body.id = held.body
      WHERE mailbox.kind = ? AND mailbox.address = ? AND held.number > ? ORDER BY held.number LIMIT ?
      """, [Int64(mailbox.kind.rawValue), mailbox.address.data, number.bits, max(0, limit)])
  }

  public func first(topic: UInt64, of sender: Bytes32, in mailbox: Mailbox) throws(StoreError) -> HeldMessage? {
    try messages(
      """
      FROM mailbox CROSS JOIN body CROSS JOIN held ON held.body = body.id AND held.mailbox = mailbox.id
      WHERE mailbox.kind = ? AND mailbox.address = ? AND body.sender = ? AND body.topic = ?
      ORDER BY held.number LIMIT 1
      """, [Int64(mailbox.kind.rawValue), mailbox.address.data, sender.data, topic.bits]
    ).first
  }

  public func oldestNoConsequence(in mailbox: Mailbox?) throws(StoreError) -> HeldMessage? {
    guard let mailbox else {
      return try messages(
        """
        FROM body CROSS JOIN held ON held.body = body.id CROSS JOIN mailbox ON mailbox.id = held.mailbox
        WHERE body.class = 0 ORDER BY body.id, mailbox.kind, mailbox.address LIMIT 1
        """, []
      ).first
    }
    return try messages(
      """
      FROM mailbox CROSS JOIN held ON held.mailbox = mailbox.id CROSS JOIN body ON body.id = held.body
      WHERE mailbox.kind = ? AND mailbox.address = ? AND held.class = 0 ORDER BY held.number LIMIT 1
      """, [Int64(mailbox.kind.rawValue), mailbox.address.data]
    ).first
  }

  public func expired(at instant: Instant, limit: Int) throws(StoreError) -> [HeldMessage] {
    try messages(
      """
      FROM body CROSS JOIN held ON held.body = body.id CROSS JOIN mailbox ON mailbox.id = held.mailbox
      WHERE body.expires IS NOT NULL AND body.expires <= ?
      ORDER BY body.expires, body.id, mailbox.kind, mailbox.address LIMIT ?
      """, [instant.microseconds, max(0, limit)])
  }

  public func list(from sender: Bytes32, limit: Int) throws(StoreError) -> [HeldMessage] {
    try messages(
      """
      FROM body CROSS JOIN held ON held.body = body.id CROSS JOIN mailbox ON mailbox.id = held.mailbox
      WHERE body.sender = ? ORDER BY body.id, mailbox.kind, mailbox.address LIMIT ?
      """, [sender.data, max(0, limit)])
  }

  private func messages(_ sql: String, _ arguments: StatementArguments) throws(StoreError) -> [HeldMessage] {
    try run { database in
      let rows = try Row.fetchCursor(
        database.cachedStatement(
          sql: """
            SELECT mailbox.kind, mailbox.address, held.number, body.sender, body.seq, body.topic, body.class,
            body.accepted, body.expires, body.receipt, body.bytes
            """ + "\n" + sql),
        arguments: arguments)
      var messages: [HeldMessage] = []
      while let row = try rows.next() { messages.append(try HeldMessage(row)) }
      return messages
    }
  }

  public func earliestExpiry() throws(StoreError) -> Instant? {
    try run { database in
      try Int64.fetchOne(
        database.cachedStatement(sql: "SELECT min(expires) FROM body WHERE expires IS NOT NULL"))
    }.map { Instant(microseconds: $0) }
  }

  public func usage(of mailbox: Mailbox) throws(StoreError) -> Usage {
    try run { database in
      let row = try Row.fetchOne(
        database.cachedStatement(sql: "SELECT messages, bytes FROM mailbox WHERE kind = ? AND address = ?"),
        arguments: [Int64(mailbox.kind.rawValue), mailbox.address.data])
      return row.map { Usage(messages: $0[0], bytes: $0[1]) } ?? Usage()
    }
  }

  public func totalUsage() throws(StoreError) -> Usage {
    // Also tells whether the store can still be used.
    try run { _ in total }
  }

  public func mailboxes() throws(StoreError) -> [(mailbox: Mailbox, usage: Usage)] {
    try run { database in
      try Row.fetchAll(
        database.cachedStatement(
          sql: "SELECT kind, address, messages, bytes FROM mailbox WHERE messages > 0 ORDER BY kind, address")
      ).map { row in (try Mailbox(row), Usage(messages: row[2], bytes: row[3])) }
    }
  }
}

extension HeldMessage {
  /// The columns that ``SQLiteStore`` selects, in its order.
  fileprivate init(_ row: Row) throws {
    let bytes: Data = row[10]
    let topic: Int64? = row[5]
    let expires: Int64? = row[8]
    guard let sender = Bytes32(column: row[3]), let protectionClass = UInt8(exactly: row[6] as Int64) else {
      throw StoreError(.corrupt, detail: "sender or class of a message")
    }
    self.init(
      mailbox: try Mailbox(row), number: UInt64(bitPattern: row[2]),
      deposit: Deposit(
        sender: sender, seq: UInt64(bitPattern: row[4]), topic: topic.map { UInt64(bitPattern: $0) },
        protectionClass: protectionClass, accepted: Instant(microseconds: row[7]),
        expires: expires.map { Instant(microseconds: $0) }, receiptWanted: row[9], bytes: [UInt8](bytes)))
  }
}

extension Mailbox {
  /// Kind and address in the first two columns.
  fileprivate init(_ row: Row) throws {
    guard let code = UInt8(exactly: row[0] as Int64), let kind = Kind(rawValue: code),
      let address = Bytes32(column: row[1])
    else { throw StoreError(.corrupt, detail: "kind or address of a mailbox") }
    self.init(kind, address)
  }
}

extension Bytes32 {
  var data: Data { Data(bytes) }

  init?(column data: Data) { self.init([UInt8](data)) }
}

extension UInt64 {
  /// The same 64 bits.
  var bits: Int64 { Int64(bitPattern: self) }
  /// In an order that SQLite's signed integers keep.
  var ordered: Int64 { Int64(bitPattern: self ^ (1 << 63)) }
  init(ordered: Int64) { self = UInt64(bitPattern: ordered) ^ (1 << 63) }
}
