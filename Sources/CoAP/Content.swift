import Wire

/// What a message says, whatever carries it: a code, options and a payload.
public protocol CoAPContent {
  var code: CoAPCode { get set }
  var options: CoAPOptions { get set }
  var payload: [UInt8] { get set }
}

/// A request: what an application asks, without type, message ID and token.
public struct CoAPRequest: CoAPContent, Hashable, Sendable {
  /// The method.
  public var code: CoAPCode
  public var options: CoAPOptions
  public var payload: [UInt8]

  public init(code: CoAPCode, options: CoAPOptions = [], payload: [UInt8] = []) {
    self.code = code
    self.options = options
    self.payload = payload
  }

  /// A request for `path`, one string for each segment.
  public init(
    _ method: CoAPCode, path: [String] = [], query: [String] = [], contentFormat: CoAPContentFormat? = nil,
    accept: CoAPContentFormat? = nil, payload: [UInt8] = []
  ) {
    self.init(code: method, payload: payload)
    uriPath = path
    uriQuery = query
    self.contentFormat = contentFormat
    self.accept = accept
  }
}

/// A response, without type, message ID and token.
public struct CoAPResponse: CoAPContent, Hashable, Sendable {
  public var code: CoAPCode
  public var options: CoAPOptions
  public var payload: [UInt8]

  public init(code: CoAPCode, options: CoAPOptions = [], payload: [UInt8] = []) {
    self.code = code
    self.options = options
    self.payload = payload
  }

  public init(
    _ code: CoAPCode, contentFormat: CoAPContentFormat? = nil, eTag: [UInt8]? = nil, payload: [UInt8] = []
  ) {
    self.init(code: code, payload: payload)
    self.contentFormat = contentFormat
    self.eTag = eTag
  }
}

extension CoAPContent {
  /// Segments of the path, not percent-encoded: `coap://host/a/b` has ["a", "b"].
  public var uriPath: [String] {
    get { options[strings: .uriPath] }
    set { options[strings: .uriPath] = newValue }
  }

  /// Arguments of the query: `?a=1&b` has ["a=1", "b"].
  public var uriQuery: [String] {
    get { options[strings: .uriQuery] }
    set { options[strings: .uriQuery] = newValue }
  }

  public var locationPath: [String] {
    get { options[strings: .locationPath] }
    set { options[strings: .locationPath] = newValue }
  }

  public var locationQuery: [String] {
    get { options[strings: .locationQuery] }
    set { options[strings: .locationQuery] = newValue }
  }

  public var contentFormat: CoAPContentFormat? {
    get { options[uint: .contentFormat].flatMap(UInt16.init(exactly:)).map(CoAPContentFormat.init) }
    set { options[uint: .contentFormat] = newValue.map { UInt64($0.rawValue) } }
  }

  /// The one format that the client wants.
  public var accept: CoAPContentFormat? {
    get { options[uint: .accept].flatMap(UInt16.init(exactly:)).map(CoAPContentFormat.init) }
    set { options[uint: .accept] = newValue.map { UInt64($0.rawValue) } }
  }

  /// The entity tag of a response, 1 to 8 bytes; the first of a request's.
  public var eTag: [UInt8]? {
    get { options[value: .eTag] }
    set { options[value: .eTag] = newValue }
  }

  /// Seconds for which a response is fresh; `nil` stands for 60.
  public var maxAge: UInt32? {
    get { options[uint: .maxAge].flatMap(UInt32.init(exactly:)) }
    set { options[uint: .maxAge] = newValue.map(UInt64.init) }
  }

  /// RFC 7641: 0 registers and 1 deregisters in a request; the sequence number (24 bits) in a notification.
  public var observe: UInt32? {
    get { options[uint: .observe].flatMap(UInt32.init(exactly:)) }
    set { options[uint: .observe] = newValue.map(UInt64.init) }
  }

  /// The block of the request's body (RFC 7959).
  public var block1: CoAPBlock? {
    get { options[uint: .block1].flatMap(CoAPBlock.init(optionValue:)) }
    set { options[uint: .block1] = newValue?.optionValue }
  }

  /// The block of the response's body (RFC 7959).
  public var block2: CoAPBlock? {
    get { options[uint: .block2].flatMap(CoAPBlock.init(optionValue:)) }
    set { options[uint: .block2] = newValue?.optionValue }
  }

  /// Bytes of the request's body (RFC 7959, 4).
  public var size1: UInt32? {
    get { options[uint: .size1].flatMap(UInt32.init(exactly:)) }
    set { options[uint: .size1] = newValue.map(UInt64.init) }
  }

  /// Bytes of the response's body (RFC 7959, 4); 0 in a request asks for them.
  public var size2: UInt32? {
    get { options[uint: .size2].flatMap(UInt32.init(exactly:)) }
    set { options[uint: .size2] = newValue.map(UInt64.init) }
  }

  /// RFC 9175: what the server wants to see again, 1 to 40 bytes.
  public var echo: [UInt8]? {
    get { options[value: .echo] }
    set { options[value: .echo] = newValue }
  }

  /// RFC 9175: tells block-wise transfers of one client apart, 0 to 8 bytes.
  public var requestTag: [UInt8]? {
    get { options[value: .requestTag] }
    set { options[value: .requestTag] = newValue }
  }

  /// RFC 8768: hops left, 1 to 255.
  public var hopLimit: UInt8? {
    get { options[uint: .hopLimit].flatMap(UInt8.init(exactly:)) }
    set { options[value: .hopLimit] = newValue.map { [$0] } }
  }

  /// RFC 7967: the classes of responses that the client does not want: 2 for 2.xx, 8 for 4.xx, 16 for 5.xx.
  public var noResponse: UInt8? {
    get { options[uint: .noResponse].flatMap(UInt8.init(exactly:)) }
    set { options[uint: .noResponse] = newValue.map(UInt64.init) }
  }

  /// Whether ``noResponse`` of this request excludes a response with `code`.
  public func suppresses(_ code: CoAPCode) -> Bool {
    guard let noResponse, code.class > 0 else { return false }
    return noResponse >> (code.class - 1) & 1 == 1
  }
}
