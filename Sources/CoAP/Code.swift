/// The code of a CoAP message (RFC 7252, 3 and 12.1): three bits of class and five bits of detail, written `c.dd`.
@frozen
public struct CoAPCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The code `class.detail`; only the low 3 and 5 bits count.
  @inlinable public init(class: UInt8, detail: UInt8) { rawValue = (`class` & 7) << 5 | detail & 31 }

  /// 0 for requests, 2 success, 4 client error, 5 server error; 7 is signalling over TCP (RFC 8323).
  @inlinable public var `class`: UInt8 { rawValue >> 5 }
  @inlinable public var detail: UInt8 { rawValue & 31 }

  /// 0.00: an empty message.
  @inlinable public var isEmpty: Bool { rawValue == 0 }
  /// 0.01 to 0.31.
  @inlinable public var isRequest: Bool { rawValue &- 1 < 31 }
  /// 2.00 to 5.31.
  @inlinable public var isResponse: Bool { rawValue >> 5 &- 2 < 4 }
  /// Class 2.
  @inlinable public var isSuccess: Bool { rawValue >> 5 == 2 }
  /// Classes 1, 6 and 7, which no message over UDP may have.
  @inlinable public var isReserved: Bool { 0b1100_0010 >> (rawValue >> 5) & 1 == 1 }

  @inlinable public static var empty: Self { Self(rawValue: 0) }

  // Methods.
  @inlinable public static var get: Self { Self(class: 0, detail: 1) }
  @inlinable public static var post: Self { Self(class: 0, detail: 2) }
  @inlinable public static var put: Self { Self(class: 0, detail: 3) }
  @inlinable public static var delete: Self { Self(class: 0, detail: 4) }
  /// RFC 8132.
  @inlinable public static var fetch: Self { Self(class: 0, detail: 5) }
  /// RFC 8132.
  @inlinable public static var patch: Self { Self(class: 0, detail: 6) }
  /// RFC 8132.
  @inlinable public static var iPatch: Self { Self(class: 0, detail: 7) }

  // Success.
  @inlinable public static var created: Self { Self(class: 2, detail: 1) }
  @inlinable public static var deleted: Self { Self(class: 2, detail: 2) }
  @inlinable public static var valid: Self { Self(class: 2, detail: 3) }
  @inlinable public static var changed: Self { Self(class: 2, detail: 4) }
  @inlinable public static var content: Self { Self(class: 2, detail: 5) }
  /// RFC 7959.
  @inlinable public static var `continue`: Self { Self(class: 2, detail: 31) }

  // Client errors.
  @inlinable public static var badRequest: Self { Self(class: 4, detail: 0) }
  @inlinable public static var unauthorized: Self { Self(class: 4, detail: 1) }
  @inlinable public static var badOption: Self { Self(class: 4, detail: 2) }
  @inlinable public static var forbidden: Self { Self(class: 4, detail: 3) }
  @inlinable public static var notFound: Self { Self(class: 4, detail: 4) }
  @inlinable public static var methodNotAllowed: Self { Self(class: 4, detail: 5) }
  @inlinable public static var notAcceptable: Self { Self(class: 4, detail: 6) }
  /// RFC 7959.
  @inlinable public static var requestEntityIncomplete: Self { Self(class: 4, detail: 8) }
  /// RFC 8132.
  @inlinable public static var conflict: Self { Self(class: 4, detail: 9) }
  @inlinable public static var preconditionFailed: Self { Self(class: 4, detail: 12) }
  @inlinable public static var requestEntityTooLarge: Self { Self(class: 4, detail: 13) }
  @inlinable public static var unsupportedContentFormat: Self { Self(class: 4, detail: 15) }
  /// RFC 8132.
  @inlinable public static var unprocessableEntity: Self { Self(class: 4, detail: 22) }
  /// RFC 8516.
  @inlinable public static var tooManyRequests: Self { Self(class: 4, detail: 29) }

  // Server errors.
  @inlinable public static var internalServerError: Self { Self(class: 5, detail: 0) }
  @inlinable public static var notImplemented: Self { Self(class: 5, detail: 1) }
  @inlinable public static var badGateway: Self { Self(class: 5, detail: 2) }
  @inlinable public static var serviceUnavailable: Self { Self(class: 5, detail: 3) }
  @inlinable public static var gatewayTimeout: Self { Self(class: 5, detail: 4) }
  @inlinable public static var proxyingNotSupported: Self { Self(class: 5, detail: 5) }
  /// RFC 8768.
  @inlinable public static var hopLimitReached: Self { Self(class: 5, detail: 8) }

  /// The registered name; `nil` for a code without one.
  public var name: String? {
    switch self {
    case .empty: "Empty"
    case .get: "GET"
    case .post: "POST"
    case .put: "PUT"
    case .delete: "DELETE"
    case .fetch: "FETCH"
    case .patch: "PATCH"
    case .iPatch: "iPATCH"
    case .created: "Created"
    case .deleted: "Deleted"
    case .valid: "Valid"
    case .changed: "Changed"
    case .content: "Content"
    case .continue: "Continue"
    case .badRequest: "Bad Request"
    case .unauthorized: "Unauthorized"
    case .badOption: "Bad Option"
    case .forbidden: "Forbidden"
    case .notFound: "Not Found"
    case .methodNotAllowed: "Method Not Allowed"
    case .notAcceptable: "Not Acceptable"
    case .requestEntityIncomplete: "Request Entity Incomplete"
    case .conflict: "Conflict"
    case .preconditionFailed: "Precondition Failed"
    case .requestEntityTooLarge: "Request Entity Too Large"
    case .unsupportedContentFormat: "Unsupported Content-Format"
    case .unprocessableEntity: "Unprocessable Entity"
    case .tooManyRequests: "Too Many Requests"
    case .internalServerError: "Internal Server Error"
    case .notImplemented: "Not Implemented"
    case .badGateway: "Bad Gateway"
    case .serviceUnavailable: "Service Unavailable"
    case .gatewayTimeout: "Gateway Timeout"
    case .proxyingNotSupported: "Proxying Not Supported"
    case .hopLimitReached: "Hop Limit Reached"
    default: nil
    }
  }

  /// For example `2.05 Content` or `0.09`.
  public var description: String {
    let number = "\(`class`).\(detail < 10 ? "0" : "")\(detail)"
    guard let name else { return number }
    return "\(number) \(name)"
  }
}

/// The type of a message over UDP (RFC 7252, 3).
@frozen
public enum CoAPMessageType: UInt8, CaseIterable, Sendable, Hashable, CustomStringConvertible {
  case confirmable = 0
  case nonConfirmable = 1
  case acknowledgement = 2
  case reset = 3

  /// `CON`, `NON`, `ACK` or `RST`, as the RFC abbreviates them.
  public var description: String {
    switch self {
    case .confirmable: "CON"
    case .nonConfirmable: "NON"
    case .acknowledgement: "ACK"
    case .reset: "RST"
    }
  }
}
