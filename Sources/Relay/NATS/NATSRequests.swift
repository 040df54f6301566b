import Foundation
import Queue
import Wire

// What is said to JetStream and what it answers, as JSON; only the fields that are used, whose names are in
// snake case there. Durations are nanoseconds.

/// A stream's configuration.
struct NATSStreamConfiguration: Codable, Sendable {
  var name: String
  var subjects: [String]
  var retention = "limits"
  var storage = "file"
  var numReplicas: Int
  var discard = "new"
  var discardNewPerSubject = false
  var maxConsumers = -1
  var maxMsgs = -1
  var maxBytes = -1
  var maxMsgsPerSubject = -1
  var maxAge: Int64 = 0
  var allowRollupHdrs = false
  var denyDelete = false
  var allowDirect = true
  /// Comes back from servers that know such a field: those of NATS 2.10 and newer.
  var metadata = ["pangate": "1"]
}

/// A consumer that pushes to ``deliverSubject``. It lives in memory on one server: what it forgets comes again.
struct NATSConsumerConfiguration: Codable, Sendable {
  var durableName: String?
  var deliverSubject: String
  var deliverPolicy = "all"
  var filterSubject: String
  var ackPolicy = "explicit"
  var ackWait: Int64?
  var maxAckPending: Int?
  var maxDeliver = -1
  var idleHeartbeat: Int64?
  var inactiveThreshold: Int64 = 30_000_000_000
  var headersOnly: Bool?
  var numReplicas = 1
  var memStorage = true
}

struct NATSConsumerRequest: Codable, Sendable {
  var streamName: String
  var config: NATSConsumerConfiguration
}

struct NATSDeleteRequest: Codable, Sendable {
  var seq: UInt64
  /// Whether the bytes on disk may stay until their block is written anew.
  var noErase = true
}

struct NATSGetRequest: Codable, Sendable {
  var seq: UInt64?
  var lastBySubj: String?
  var nextBySubj: String?
}

struct NATSInfoRequest: Codable, Sendable {
  var subjectsFilter: String?
  var offset: Int?
}

struct NATSPurgeRequest: Codable, Sendable {
  var filter: String
  /// Keeps this one and those after it.
  var seq: UInt64?
}

/// Everything that an answer may hold.
struct NATSAnswer: Codable, Sendable {
  struct Failure: Codable, Sendable {
    var code: Int
    var errCode: Int?
    var description: String?
  }
  struct State: Codable, Sendable {
    var messages: Int
    var bytes: Int
    var lastSeq: UInt64
    var subjects: [String: Int]?
  }
  struct Message: Codable, Sendable {
    var subject: String
    var seq: UInt64
    var data: Data?
  }
  /// Of a stream or a consumer.
  struct Configuration: Codable, Sendable {
    var deliverSubject: String?
    var metadata: [String: String]?
  }

  var error: Failure?
  /// Of a message that was stored.
  var seq: UInt64?
  /// Of a stream.
  var state: State?
  /// How many subjects there are in all, of which an answer holds so many.
  var total: Int?
  /// A stored message.
  var message: Message?
  /// Of a consumer.
  var name: String?
  var config: Configuration?
  /// Of what was purged.
  var purged: Int?
}

/// JSON as JetStream writes it.
enum NATSCoding {
  static let encoder: JSONEncoder = {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    return encoder
  }()

  static let decoder: JSONDecoder = {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return decoder
  }()
}

/// The codes of JetStream's errors that are told apart.
enum NATSErrorCode {
  static let streamNameInUse = 10058
  static let streamNotFound = 10059
  static let messageNotFound = 10037
  static let sequenceNotFound = 10043
  static let deletionFailed = 10057
  static let wrongLastSequence = 10071
  static let consumerNotFound = 10014
  static let storageExceeded = 10047
  static let memoryExceeded = 10028
  static let accountExceeded = 10002
  /// A message could not be stored; the description says why.
  static let storeFailed = 10077
}

extension NATSAnswer.Failure {
  var isNotFound: Bool {
    switch errCode {
    case NATSErrorCode.messageNotFound, NATSErrorCode.sequenceNotFound, NATSErrorCode.consumerNotFound,
      NATSErrorCode.streamNotFound:
      true
    default: code == 404
    }
  }

  /// The reason under which a message is refused because something is full; `nil` for anything else.
  var fullness: DropReason? {
    guard errCode == NATSErrorCode.storeFailed else { return nil }
    return switch description {
    case "maximum messages per subject exceeded": .queueNodeFull
    case "maximum messages exceeded", "maximum bytes exceeded": .queueFull
    default: nil
    }
  }

  func storeError(_ subject: String) -> StoreError {
    let isFull = [NATSErrorCode.storageExceeded, NATSErrorCode.memoryExceeded, NATSErrorCode.accountExceeded]
      .contains(errCode)
    return StoreError(
      isFull ? .full : .failed, detail: "NATS, \(subject): \(description ?? "error") (\(errCode ?? code))")
  }
}

extension NATSRequest {
  /// A request to JetStream.
  init(api subject: String, _ body: (some Encodable)?) {
    // Encoding plain fields cannot fail.
    self.init(
      subject: NATSRequest.api + subject,
      bytes: body.flatMap { try? [UInt8](NATSCoding.encoder.encode($0)) } ?? [])
  }

  init(api subject: String) { self.init(api: subject, NATSInfoRequest?.none) }
}

extension NATSLink {
  /// What an answer says, an error included.
  func parse(_ message: NATSMessage?, of request: NATSRequest) throws(StoreError) -> NATSAnswer {
    let message = try answer(to: request, in: message)
    do {
      return try NATSCoding.decoder.decode(NATSAnswer.self, from: Data(message.bytes))
    } catch {
      throw StoreError(.failed, detail: "NATS, \(request.subject): answer not understood (\(error))")
    }
  }

  /// Asks, and throws what is answered as an error, but for `nil` where nothing was found.
  func find(_ request: NATSRequest, timeout: Duration? = nil) throws(StoreError) -> NATSAnswer? {
    try found(try exchange([request], timeout: timeout).first ?? nil, of: request)
  }

  /// What an answer says of what was looked for; `nil` where nothing was found. Throws what is answered as another error.
  func found(_ message: NATSMessage?, of request: NATSRequest) throws(StoreError) -> NATSAnswer? {
    let answer = try parse(message, of: request)
    guard let failure = answer.error else { return answer }
    guard failure.isNotFound else { throw failure.storeError(request.subject) }
    return nil
  }

  /// Asks, and throws what is answered as an error.
  func ask(_ request: NATSRequest, timeout: Duration? = nil) throws(StoreError) -> NATSAnswer {
    let answer = try parse(try exchange([request], timeout: timeout).first ?? nil, of: request)
    if let failure = answer.error { throw failure.storeError(request.subject) }
    return answer
  }

  /// Removes messages of a stream, and says of each whether it was there.
  @discardableResult
  func delete(_ numbers: [UInt64], from stream: String) throws(StoreError) -> [Bool] {
    let requests = numbers.map { NATSRequest(api: "STREAM.MSG.DELETE.\(stream)", NATSDeleteRequest(seq: $0)) }
    var removed: [Bool] = []
    for (request, message) in zip(requests, try exchange(requests)) {
      let failure = try parse(message, of: request).error
      removed.append(failure == nil)
      // A message that is not there any more has its own code, or that of any failed deletion.
      guard let failure, !failure.isNotFound else { continue }
      let isGone = failure.errCode == NATSErrorCode.deletionFailed && failure.description == "no message found"
      guard isGone else { throw failure.storeError(request.subject) }
    }
    return removed
  }

  /// Messages of a stream by number, from whichever server is nearest: it may not know yet what was stored last.
  func messages(_ numbers: [UInt64], of stream: String) throws(StoreError) -> [NATSMessage?] {
    let requests = numbers.map { NATSRequest(api: "DIRECT.GET.\(stream)", NATSGetRequest(seq: $0)) }
    var found: [NATSMessage?] = []
    for (request, message) in zip(requests, try exchange(requests)) {
      let message = try answer(to: request, in: message)
      switch message.status {
      case nil: found.append(message)
      case 404: found.append(nil)
      default: throw StoreError(.failed, detail: "NATS, \(request.subject): status \(message.status ?? 0)")
      }
    }
    return found
  }
}

extension Duration {
  var wholeNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000
  }
}
