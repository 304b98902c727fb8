<?php
/**
 * The classes of vTiger that the companion module touches, as far as it does. Reads a scene as JSON from stdin, carries
 * it out in the working directory, which has the module, and prints what came out as JSON.
 *
 * Names and signatures are those of vTiger 7.2 and 8.2 (includes/runtime/Controller.php, vtlib/Vtiger/Link.php).
 */
error_reporting(E_ALL);
set_error_handler(function ($level, $message, $file, $line) {
    if (error_reporting() & $level) {
        throw new ErrorException($message, 0, $level, $file, $line);
    }
    return true;
});

$scene = json_decode(stream_get_contents(STDIN), true);
$out = array('body' => '', 'links' => array(), 'unlinked' => 0, 'sql' => array(), 'deleted' => false, 'error' => null);

class AppException extends Exception {
}

abstract class Vtiger_Controller {
    private $exposed = array();

    public function __construct() {
    }

    public function loginRequired() {
        return true;
    }

    public function validateRequest(Vtiger_Request $request) {
        return true;
    }

    public function preProcess(Vtiger_Request $request) {
        return true;
    }

    public function postProcess(Vtiger_Request $request) {
        return true;
    }

    public function exposeMethod($name) {
        $this->exposed[] = $name;
    }

    public function invokeExposedMethod() {
        $arguments = func_get_args();
        $name = array_shift($arguments);
        if (!in_array($name, $this->exposed, true)) {
            throw new Exception('not accessible');
        }
        return call_user_func_array(array($this, $name), $arguments);
    }
}

abstract class Vtiger_Action_Controller extends Vtiger_Controller {
}

abstract class Vtiger_View_Controller extends Vtiger_Action_Controller {
    public function preProcess(Vtiger_Request $request, $display = true) {
        echo 'the header of the CRM';
    }
}

class Vtiger_Request {
    private $values;

    public function __construct($values) {
        $this->values = $values;
    }

    public function get($name, $default = '') {
        return isset($this->values[$name]) ? $this->values[$name] : $default;
    }

    public function getRaw($name, $default = '') {
        return $this->get($name, $default);
    }

    public function getMode() {
        return $this->get('mode');
    }

    public function set($name, $value) {
        $this->values[$name] = $value;
    }

    public function validateWriteAccess() {
        if (empty($this->values['__vtrftk'])) {
            throw new Exception('Invalid request');
        }
        return true;
    }
}

class Vtiger_Response {
    private $result;

    public function setResult($result) {
        $this->result = $result;
    }

    public function emit() {
        echo json_encode(array('success' => true, 'result' => $this->result));
    }
}

class Users_Record_Model {
    public $phone_crm_extension;
    private $values;

    public function __construct($values) {
        $this->values = $values;
        $this->phone_crm_extension = isset($values['extension']) ? $values['extension'] : null;
    }

    public static function getCurrentUserModel() {
        global $scene;
        return new self($scene['user']);
    }

    public function getId() {
        return isset($this->values['id']) ? $this->values['id'] : null;
    }

    public function get($name) {
        return $name === 'phone_crm_extension' ? $this->phone_crm_extension : null;
    }

    public function isAdminUser() {
        return !empty($this->values['admin']);
    }
}

class Users_Privileges_Model {
    public static function isPermitted($module, $action) {
        global $scene;
        return in_array($action, $scene['permitted'], true);
    }
}

class Vtiger_Module_Model {
    public static function getInstance($name) {
        global $scene;
        return $scene['module'] === 'absent' ? false : new self();
    }

    public function isActive() {
        global $scene;
        return $scene['module'] === 'on';
    }
}

class Vtiger_Module {
    public static function getInstance($name) {
        return new self();
    }

    public function delete() {
        global $out;
        $out['deleted'] = true;
        $handler = new UacCompanion();
        $handler->vtlib_handler('UacCompanion', 'module.preuninstall');
    }
}

class PBXManager_Server_Model {
    public static function getInstance() {
        return new self();
    }

    public function get($name) {
        global $scene;
        return isset($scene['gateway'][$name]) ? $scene['gateway'][$name] : null;
    }
}

class PBXManager_IncomingCallPoll_Action extends Vtiger_Action_Controller {
    public function checkPermission(Vtiger_Request $request) {
        if ($request->get('module') !== 'PBXManager') {
            throw new AppException('asked for another module');
        }
    }

    public function searchIncomingCalls(Vtiger_Request $request) {
        global $scene;
        $response = new Vtiger_Response();
        $response->setResult($scene['calls']);
        $response->emit();
    }
}

class Vtiger_Language_Handler {
    public static function getLanguage() {
        global $scene;
        return $scene['language'];
    }
}

class Vtiger_Link {
    public static function addLink($tabid, $type, $label, $url, $icon = '', $sequence = 0, $handler = null, $parent = null) {
        global $out;
        $out['links'][] = array('tabid' => $tabid, 'type' => $type, 'label' => $label, 'url' => $url, 'handler' => $handler);
    }

    public static function deleteLink($tabid, $type, $label, $url = false) {
        global $out;
        $out['links'] = array();
        $out['unlinked']++;
    }
}

class Vtiger_LinkData {
    public function getUser() {
        return Users_Record_Model::getCurrentUserModel();
    }
}

class PearDatabase {
    public static function getInstance() {
        return new self();
    }

    public function pquery($sql, $values) {
        global $scene, $out;
        $out['sql'][] = array($sql, $values);
        if (strpos($sql, 'SELECT') === 0) {
            return isset($scene['settings'][$values[0]]) ? array($scene['settings'][$values[0]]) : array();
        }
        return true;
    }

    public function num_rows($found) {
        return count($found);
    }

    public function query_result($found, $row, $column) {
        return $found[$row];
    }
}

function decode_html($text) {
    return html_entity_decode($text, ENT_QUOTES, 'UTF-8');
}

ob_start();
try {
    require_once 'modules/UacCompanion/UacCompanion.php';
    $request = new Vtiger_Request($scene['request']);
    switch ($scene['do'][0]) {
        case 'handle':
            (new UacCompanion())->vtlib_handler('UacCompanion', $scene['do'][1]);
            break;
        case 'wanted':
            echo json_encode(UacCompanion::isWanted(new Vtiger_LinkData()));
            break;
        case 'token':
            require_once 'modules/UacCompanion/actions/Token.php';
            echo call_user_func_array(array('UacCompanion_Token_Action', 'token'), $scene['do'][1]);
            break;
        case 'links':
            require_once 'modules/UacCompanion/models/Module.php';
            echo json_encode((new UacCompanion_Module_Model())->getSettingLinks());
            break;
        default:
            list($kind, $name) = $scene['do'];
            require_once "modules/UacCompanion/{$kind}s/$name.php";
            $class = "UacCompanion_{$name}_" . ucfirst($kind);
            $handler = new $class();
            $handler->validateRequest($request);
            $out['loginRequired'] = $handler->loginRequired();
            $handler->checkPermission($request);
            $handler->preProcess($request);
            $handler->process($request);
            $handler->postProcess($request);
    }
} catch (Throwable $error) {
    $out['error'] = get_class($error) . ': ' . $error->getMessage();
}
$out['body'] = ob_get_clean();
echo json_encode($out);
