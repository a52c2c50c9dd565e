/** Users, roles and permissions. Source: etcd client/v3/auth.go. */

import { auth } from "@etcd-ts/api";
import { Permission_Type } from "@etcd-ts/api/authpb";
import type {
  AuthDisableResponse,
  AuthEnableResponse,
  AuthenticateResponse,
  AuthRoleAddResponse,
  AuthRoleDeleteResponse,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionResponse,
  AuthRoleListResponse,
  AuthRoleRevokePermissionResponse,
  AuthStatusResponse,
  AuthUserAddResponse,
  AuthUserChangePasswordResponse,
  AuthUserDeleteResponse,
  AuthUserGetResponse,
  AuthUserGrantRoleResponse,
  AuthUserListResponse,
  AuthUserRevokeRoleResponse,
} from "@etcd-ts/api/etcdserverpb";
import type { Answer, Caller, CallOptions } from "./caller.js";
import { type Bytes, type RangeOptions, wireRange } from "./keys.js";

const repeatable = { repeatable: true };
const once = { repeatable: false };

export class AuthClient {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  enable(options: CallOptions = {}): Promise<Answer<AuthEnableResponse>> {
    return this.#caller.unary(auth.authEnable, {}, once, options);
  }

  disable(options: CallOptions = {}): Promise<Answer<AuthDisableResponse>> {
    return this.#caller.unary(auth.authDisable, {}, once, options);
  }

  status(options: CallOptions = {}): Promise<Answer<AuthStatusResponse>> {
    return this.#caller.unary(auth.authStatus, {}, once, options);
  }

  /** A token for a user. The client does this by itself when it is given credentials. */
  authenticate(name: string, password: string, options: CallOptions = {}): Promise<Answer<AuthenticateResponse>> {
    return this.#caller.unary(auth.authenticate, { name, password }, once, options);
  }

  /** Without a password the user can only be known by a client certificate. */
  userAdd(name: string, password: string | undefined, options: CallOptions = {}): Promise<Answer<AuthUserAddResponse>> {
    const request = { name, password, options: { noPassword: password === undefined } };
    return this.#caller.unary(auth.userAdd, request, once, options);
  }

  userGet(name: string, options: CallOptions = {}): Promise<Answer<AuthUserGetResponse>> {
    return this.#caller.unary(auth.userGet, { name }, repeatable, options);
  }

  userList(options: CallOptions = {}): Promise<Answer<AuthUserListResponse>> {
    return this.#caller.unary(auth.userList, {}, repeatable, options);
  }

  userDelete(name: string, options: CallOptions = {}): Promise<Answer<AuthUserDeleteResponse>> {
    return this.#caller.unary(auth.userDelete, { name }, once, options);
  }

  userChangePassword(
    name: string,
    password: string,
    options: CallOptions = {},
  ): Promise<Answer<AuthUserChangePasswordResponse>> {
    return this.#caller.unary(auth.userChangePassword, { name, password }, once, options);
  }

  userGrantRole(user: string, role: string, options: CallOptions = {}): Promise<Answer<AuthUserGrantRoleResponse>> {
    return this.#caller.unary(auth.userGrantRole, { user, role }, once, options);
  }

  userRevokeRole(user: string, role: string, options: CallOptions = {}): Promise<Answer<AuthUserRevokeRoleResponse>> {
    return this.#caller.unary(auth.userRevokeRole, { name: user, role }, once, options);
  }

  roleAdd(name: string, options: CallOptions = {}): Promise<Answer<AuthRoleAddResponse>> {
    return this.#caller.unary(auth.roleAdd, { name }, once, options);
  }

  roleGet(role: string, options: CallOptions = {}): Promise<Answer<AuthRoleGetResponse>> {
    return this.#caller.unary(auth.roleGet, { role }, repeatable, options);
  }

  roleList(options: CallOptions = {}): Promise<Answer<AuthRoleListResponse>> {
    return this.#caller.unary(auth.roleList, {}, repeatable, options);
  }

  roleDelete(role: string, options: CallOptions = {}): Promise<Answer<AuthRoleDeleteResponse>> {
    return this.#caller.unary(auth.roleDelete, { role }, once, options);
  }

  roleGrantPermission(
    role: string,
    permission: { readonly type: keyof typeof Permission_Type; readonly key: Bytes } & RangeOptions,
    options: CallOptions = {},
  ): Promise<Answer<AuthRoleGrantPermissionResponse>> {
    const perm = { permType: Permission_Type[permission.type], ...wireRange(permission.key, permission) };
    return this.#caller.unary(auth.roleGrantPermission, { name: role, perm }, once, options);
  }

  roleRevokePermission(
    role: string,
    key: Bytes,
    options: RangeOptions & CallOptions = {},
  ): Promise<Answer<AuthRoleRevokePermissionResponse>> {
    return this.#caller.unary(auth.roleRevokePermission, { role, ...wireRange(key, options) }, once, options);
  }
}
