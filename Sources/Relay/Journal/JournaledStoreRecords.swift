import Queue
import Wire

extension JournaledStore {
  // MARK: Replay records

  /// What is known of a sender, from the tables if it was not in memory.
  private func records(_ sender: Unsettled.Sender) throws(StoreError) -> Unsettled.Records {
    if let records = unsettled.records[sender] { return records }
    let window = try tables.replayWindow(sender.scope, of: sender.address)
    let records = Unsettled.Records(
      count: window.count, floor: window.floor,
      settled: window.count > 0 ? try tables.highestRecord(sender.scope, of: sender.address) : nil)
    unsettled.records[sender] = records
    return records
  }

  public func digest(of key: ReplayKey) throws(StoreError) -> Bytes32? {
    try tables.checkFailure()
    let records = try records(.init(scope: key.scope, address: key.sender))
    if let digest = records.digests[key.seq] { return digest }
    guard let highest = records.settled, key.seq <= highest, records.forgotten.map({ key.seq > $0 }) ?? true else {
      return nil
    }
    return try tables.digest(of: key)
  }

  public func record(_ digest: Bytes32, for key: ReplayKey) throws(StoreError) {
    try together { () throws(StoreError) in
      let sender = Unsettled.Sender(scope: key.scope, address: key.sender)
      guard try self.digest(of: key) == nil else {
        throw tables.fail(StoreError(.failed, detail: "a replay record is there already"))
      }
      unsettled.records[sender]?.digests[key.seq] = digest
      unsettled.records[sender]?.count += 1
      try note(.recorded(sender, key.seq), .record(digest, key))
    }
  }

  public func replayWindow(_ scope: ReplayScope, of sender: Bytes32) throws(StoreError) -> HomeRecords {
    try tables.checkFailure()
    let records = try records(.init(scope: scope, address: sender))
    return HomeRecords(count: records.count, floor: records.floor)
  }

  public func pruneReplay(_ scope: ReplayScope, of sender: Bytes32, keeping: Int) throws(StoreError) {
    let keeping = max(0, keeping)
    try together { () throws(StoreError) in
      let key = Unsettled.Sender(scope: scope, address: sender)
      let before = try records(key)
      guard before.count > keeping else { return }
      // The usual case: nothing in memory is so old that it goes, and the tables know the highest that does.
      if keeping >= before.digests.count, before.forgotten == nil,
        before.digests.keys.min().map({ $0 > before.settled ?? 0 }) ?? true,
        let floor = try tables.record(number: keeping - before.digests.count, of: sender, scope)
      {
        var after = before
        after.count = keeping
        after.floor = max(before.floor ?? 0, floor)
        after.forgotten = floor
        unsettled.records[key] = after
        return try note(.forgot(key, before), .forget(scope, sender, floor: floor))
      }
      try settle()
      unsettled.records[key] = nil
      try write { () throws(StoreError) in try tables.pruneReplay(scope, of: sender, keeping: keeping) }
    }
  }

  // MARK: Counters and values

  public func counter(_ name: String) throws(StoreError) -> UInt64 { try tables.counter(name) }

  public func setCounter(_ name: String, to value: UInt64) throws(StoreError) {
    try write { () throws(StoreError) in try tables.setCounter(name, to: value) }
  }

  public func value(_ name: String) throws(StoreError) -> [UInt8]? { try tables.value(name) }

  public func setValue(_ name: String, to value: [UInt8]?) throws(StoreError) {
    try write { () throws(StoreError) in try tables.setValue(name, to: value) }
  }

  public func values(withPrefix prefix: String) throws(StoreError) -> [(name: String, value: [UInt8])] {
    try tables.values(withPrefix: prefix)
  }
}
